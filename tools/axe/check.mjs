// Checks a page with axe-core at the width of a desk and of a phone, and prints what it found as JSON:
//   node tools/axe/check.mjs PAGE.html [PATH_OF_CHROMIUM]
// Exit code 1 where anything is serious or critical. Set up once: npm ci --prefix tools/axe

import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const WIDTHS = [1280, 390];
const GRAVE = ["serious", "critical"];
const [path, chromium = "/usr/bin/chromium"] = process.argv.slice(2);

const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu"], // the page is our own, and a container has no sandbox to give
});
const found = [];
for (const width of WIDTHS) {
  const page = await browser.newPage();
  await page.setBypassCSP(true); // the page allows no script, not even this one
  await page.setViewport({ width, height: 900, isMobile: width < 600 });
  await page.goto(pathToFileURL(resolve(path)).href);
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core/axe.min.js") });
  const result = await page.evaluate(() => {
    for (const part of document.querySelectorAll("details")) part.open = true; // or it would not be looked at
    return axe.run(document);
  });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  found.push({
    width,
    scroll_width: wide,
    rules_passed: result.passes.length,
    violations: result.violations.map((one) => ({
      impact: one.impact,
      rule: one.id,
      help: one.help,
      where: one.nodes.map((node) => node.target.join(" ")),
    })),
  });
}
await browser.close();
console.log(JSON.stringify(found, null, 1));
const grave = found.some((one) => one.violations.some((each) => GRAVE.includes(each.impact)));
process.exit(grave ? 1 : 0);
