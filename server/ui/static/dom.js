// The only way to make and fill elements. All data from outside
// becomes a text node or an attribute, never HTML.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

// el makes an element. Attributes that are undefined or false are left out.
export function el(tag, attributes = {}, ...children) {
  return complete(document.createElement(tag), attributes, children);
}

// svg is el for elements of drawings.
export function svg(tag, attributes = {}, ...children) {
  return complete(document.createElementNS(SVG, tag), attributes, children);
}

function complete(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

// text sets an element's text if it differs, which spares the layout.
export function text(element, value) {
  const next = String(value ?? '');
  if (element.textContent !== next) element.textContent = next;
}

// Regions that scroll must be reached by the keyboard, and those that do not
// are in its way: they are tab stops only while something is out of sight.
const watch = new ResizeObserver((entries) => {
  for (const region of new Set(entries.map((e) => e.target.closest('[data-scrolls]')))) {
    const scrolls = region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight;
    if (scrolls) region.tabIndex = 0;
    else if (region !== document.activeElement) region.removeAttribute('tabindex');
  }
});

// scrolling looks after a region and what is in it.
export function scrolling(region) {
  for (const element of [region, ...region.children]) watch.observe(element);
}
for (const region of document.querySelectorAll('[data-scrolls]')) scrolling(region);
