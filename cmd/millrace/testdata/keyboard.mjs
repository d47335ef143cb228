// What dashboard.mjs checks for those who use no mouse, and for those who hear the page.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import axe from 'axe-core';
import { step, text, until } from './page.mjs';

export async function keyboardWorks(page) {
  step('the keyboard is enough');
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
  assert.equal(await focused(), 'Skip to the figures');
  for (let n = 0; await focused() !== 'Pause'; n++) {
    assert.ok(n < 12, 'Pause cannot be reached');
    await page.keyboard.press('Tab');
  }
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', 'the focus cannot be seen');
  await page.keyboard.press('Enter');
  await until('the pause', async () => assert.equal(await text(page, '#status'), 'paused'));
  const still = await text(page, '#fact-recordsIn');
  await pause(2500);
  assert.equal(await text(page, '#fact-recordsIn'), still, 'paused figures move');
  await page.keyboard.press('Space');
  await until('figures that go on', async () => assert.notEqual(await text(page, '#fact-recordsIn'), still));
  await page.keyboard.press('Tab');
  const color = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await color();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  assert.equal(await text(page, '#theme'), 'Theme: dark');
  assert.notEqual(await color(), light, 'dark is as light as light');
  await page.keyboard.press('Enter');
  assert.equal(await text(page, '#theme'), 'Theme: system');
}

// Tab comes to all that can be used, and to no region without need.
export async function everythingHasFocus(page) {
  step('the keyboard reaches everything');
  await page.locator('#pause').click(); // so that nothing comes meanwhile
  const wanted = await page.evaluate(() => {
    window.reached = new Set();
    const all = [...document.querySelectorAll('a, button, input, select, textarea, [role=slider]')]
      .filter((e) => !e.disabled && e.getClientRects().length > 0);
    const regions = [...document.querySelectorAll('[data-scrolls]')];
    const scrolls = (e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight;
    window.wanted = new Set([...all, ...regions.filter(scrolls)]);
    return { all: window.wanted.size, still: regions.filter((e) => !scrolls(e)).map((e) => e.tabIndex) };
  });
  assert.ok(wanted.all > 50, `only ${wanted.all} to reach`);
  assert.ok(wanted.still.length > 3 && wanted.still.every((n) => n < 0), `regions that need not scroll have tabindex ${wanted.still}`);
  for (let n = 0; n <= wanted.all; n++) {
    await page.keyboard.press('Tab');
    await page.evaluate(() => window.reached.add(document.activeElement));
  }
  const missed = await page.evaluate(() => [...window.wanted].filter((e) => !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 120)));
  assert.deepEqual(missed, []);
}

export async function chartsHaveKeys(page) {
  step('charts are read by the keyboard');
  const plot = page.getByRole('slider', { name: 'Records over time' });
  const said = () => plot.getAttribute('aria-valuetext');
  await until('a summary', async () => assert.match(await said(), /^in: now .*, lowest .*, highest .*\. out: now /));
  await plot.focus();
  await page.keyboard.press('ArrowLeft');
  const last = await said();
  assert.match(last, /^\d\d:\d\d:\d\d: in [\d,.]+k?\/s, out [\d,.]+k?\/s$/);
  await page.keyboard.press('ArrowLeft');
  const before = await said();
  assert.notEqual(before, last);
  await pause(1500); // the chart goes on, the point stays
  assert.equal(await said(), before);
  assert.ok(before.includes(await text(page, '#charts .card:nth-child(2) .when')), 'the time is not shown');
  assert.equal(await page.locator('#charts .cursor').count(), 1);
  await page.keyboard.press('ArrowRight');
  assert.equal(await said(), last);
  await page.keyboard.press('Home');
  assert.ok(await said() < before);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#charts .cursor').count(), 0);
}

// Rows come, go and change places; the one with the focus stays, and none moves
// under the pointer.
export async function tablesKeepFocus(page) {
  step('tables keep the focus');
  const found = await page.evaluate(async () => {
    const { action, name, number, Table } = await import('/ui/table.js');
    const element = document.createElement('table');
    element.id = 'probe';
    element.createTHead().append(document.createElement('tr'));
    for (let n = 0; n < 3; n++) element.tHead.rows[0].append(document.createElement('th'));
    element.createTBody();
    document.querySelector('main').prepend(element);
    const table = new Table('probe', [name((i) => i.name), number((i) => i.rate, String), action('Act', (i) => `Act on ${i.name}`, () => {})],
      { key: (i) => i.name, empty: 'None.', by: 1 });
    const show = (rates) => table.show(Object.entries(rates).map(([name, rate]) => ({ name, rate })), true);
    const order = () => [...element.tBodies[0].querySelectorAll('th')].map((th) => th.textContent).join('');
    const steps = [];
    const note = () => steps.push(`${order()} ${document.activeElement.getAttribute('aria-label')}`);
    show({ a: 1, b: 2, c: 3, d: 4 });
    element.tBodies[0].rows[3].querySelector('button').focus(); // of c
    note();
    show({ b: 2, c: 3, d: 4 }); // the one before it is gone
    note();
    show({ b: 2, c: 9, d: 4, e: 1 }); // it falls back
    note();
    show({ b: 2, c: 0, d: 4, e: 1 }); // it comes to the front
    note();
    table.show([{ name: 'b', rate: 0 }, { name: 'c', rate: 9 }, { name: 'f', rate: -1 }, { name: 'd', rate: 1 }]); // by itself nothing moves
    note();
    element.remove();
    return steps;
  });
  assert.deepEqual(found, ['abcd Act on c', 'bcd Act on c', 'ebdc Act on c', 'cebd Act on c', 'cbdf Act on c']);
  await page.locator('#topics-table').getByRole('button', { name: 'Tail topic sensors' }).focus();
  await page.locator('#topics-table').getByRole('button', { name: 'Records in', exact: true }).evaluate((e) => e.click());
  assert.equal(await page.locator('#topics-table th[aria-sort=descending]').innerText(), 'Records in');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Tail topic sensors');
  await page.locator('#topics-table').getByRole('button', { name: 'Topic', exact: true }).click();
  assert.deepEqual((await page.locator('#topics-table > tbody > tr > th').allInnerTexts()).slice(0, 3), ['_schemas', 'burst', 'clicks']);
}

export async function isAccessible(page, how) {
  step(`axe-core, ${how}`);
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const v of violations) console.log(`   ${v.impact}: ${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join('; ')}`);
  assert.ok(passes.length > 20, `only ${passes.length} rules were applied`);
  assert.deepEqual(violations.map((v) => v.id), []);
}
