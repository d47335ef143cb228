// Light and dark. It is no module, so that it runs before the first paint and
// never flashes the wrong one.
(() => {
  'use strict';
  const order = ['system', 'light', 'dark'];
  let chosen = 'system';
  try {
    chosen = localStorage.getItem('theme') ?? 'system';
  } catch { /* a browser that keeps nothing */ }
  if (!order.includes(chosen)) chosen = 'system';

  const apply = () => {
    if (chosen === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  };
  apply();
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const label = () => { button.textContent = `Theme: ${chosen}`; };
    label();
    button.addEventListener('click', () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try {
        localStorage.setItem('theme', chosen);
      } catch { /* it holds until the page is closed */ }
      apply();
      label();
    });
  });
})();
