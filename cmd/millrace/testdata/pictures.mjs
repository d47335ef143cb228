// Takes the documentation's pictures of a dashboard under load. Run by
// TestPictures (make screenshots):
//
//	node pictures.mjs URL CHROMIUM DIRECTORY

import assert from 'node:assert/strict';
import { directory, launch, looks, open, text, until } from './page.mjs';

const browser = await launch();
try {
  for (const [name, options] of Object.entries(looks)) {
    const { context, page, faults } = await open(browser, options);
    await until('the tables', async () => assert.match(await text(page, '#instances-table tbody'), /billing/));
    await page.waitForTimeout(6000); // rates are smoothed over some seconds
    await page.screenshot({ path: `${directory}/dashboard-${name}.png` });
    assert.deepEqual(faults, []);
    await context.close();
  }
} finally {
  await browser.close();
}
