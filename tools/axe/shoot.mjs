// Pictures of a page on a desk, on a phone and as printed: FOLDER/NAME-desk.png, -phone.png, -print.png
//   node tools/axe/shoot.mjs PAGE.html FOLDER/NAME [PATH_OF_CHROMIUM]

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const SIZES = {
  desk: { width: 1280, height: 1300 },
  phone: { width: 390, height: 1700, isMobile: true },
  print: { width: 794, height: 1123 }, // A4 at 96 dots an inch
};
const [path, stem, chromium = "/usr/bin/chromium"] = process.argv.slice(2);

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
for (const [name, size] of Object.entries(SIZES)) {
  const page = await browser.newPage();
  await page.setViewport(size);
  await page.emulateMediaType(name === "print" ? "print" : "screen");
  await page.goto(pathToFileURL(resolve(path)).href);
  if (name === "print") await page.addStyleTag({ content: "body { padding: 14mm }" }); // the printer's margin
  await page.screenshot({ path: `${stem}-${name}.png` });
}
await browser.close();
