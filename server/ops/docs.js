'use strict';

// The page of the API: what /openapi.json says, by tag. Nothing of it becomes HTML.

function element(name, text, ...children) {
  const e = document.createElement(name);
  if (text) e.textContent = text;
  e.append(...children);
  return e;
}

// target follows a reference within the document.
function target(doc, value) {
  if (!value || !value.$ref) return value;
  return value.$ref.slice(2).split('/').reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], doc);
}

function parameters(doc, operation) {
  const table = element('table');
  for (const given of operation.parameters || []) {
    const p = target(doc, given);
    const row = element('tr', '');
    row.append(element('td', p.name), element('td', p.in + (p.required ? ', required' : '')), element('td', p.description || ''));
    table.append(row);
  }
  return table;
}

function body(doc, operation) {
  const parts = [];
  const request = target(doc, operation.requestBody);
  for (const [media, content] of Object.entries((request && request.content) || {})) {
    parts.push(element('p', 'Body: ' + media));
    if (content.example) parts.push(element('pre', JSON.stringify(content.example, null, 2)));
    parts.push(schema(doc, content.schema));
  }
  return parts;
}

function schema(doc, given) {
  const details = element('details', '', element('summary', 'Schema'));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(element('pre', JSON.stringify(expanded(doc, given, 6), null, 2)));
  });
  return details;
}

// expanded has the references of a schema in place, some levels deep.
function expanded(doc, given, levels) {
  const value = target(doc, given);
  if (levels === 0 || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((v) => expanded(doc, v, levels));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, expanded(doc, v, levels - (v && v.$ref ? 1 : 0))]));
}

function responses(doc, operation) {
  const parts = [];
  for (const [status, given] of Object.entries(operation.responses)) {
    const response = target(doc, given);
    parts.push(element('p', status + ': ' + response.description));
    const content = Object.values(response.content || {})[0];
    if (content && status !== 'default') parts.push(schema(doc, content.schema));
  }
  return parts;
}

function entry(doc, path, method, operation) {
  const summary = element('summary', '');
  const name = element('span', method.toUpperCase());
  name.className = 'method';
  const about = element('span', ' ' + operation.summary);
  about.className = 'about';
  summary.append(name, element('code', path), about);
  const details = element('details', '', summary);
  details.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase();
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    if (operation.description) details.append(element('p', operation.description));
    details.append(parameters(doc, operation), ...body(doc, operation), ...responses(doc, operation));
  });
  return details;
}

function show(doc) {
  const all = document.getElementById('all');
  for (const tag of doc.tags) {
    const section = element('section', '', element('h2', tag.name));
    if (tag.description) section.append(element('p', tag.description));
    for (const [path, methods] of Object.entries(doc.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) section.append(entry(doc, path, method, operation));
      }
    }
    all.append(section);
  }
  const filter = document.getElementById('filter');
  filter.addEventListener('input', () => {
    const word = filter.value.toLowerCase();
    for (const d of all.querySelectorAll('[data-text]')) d.hidden = !d.dataset.text.includes(word);
  });
}

fetch('openapi.json').then((r) => r.json()).then(show, (err) => {
  document.getElementById('all').textContent = 'The description cannot be read: ' + err;
});
