// Copies what the page needs of MapLibre GL JS into the package, unchanged, and notes where it is from:
//   npm ci --prefix tools/page --ignore-scripts && node tools/page/vendor.mjs
// Nothing is built: the files are those of the npm package, and tests hold them against SOURCE.json.

import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const HERE = import.meta.dirname;
const PACKAGE = join(HERE, "node_modules", "maplibre-gl");
const OUT = join(HERE, "..", "..", "src", "spectm", "apps", "server", "page", "vendor");
const FILES = ["LICENSE.txt", "dist/maplibre-gl.css", "dist/maplibre-gl.mjs", "dist/maplibre-gl-worker.mjs"];

const about = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
const lock = JSON.parse(await readFile(join(HERE, "package-lock.json"), "utf8"));
const locked = lock.packages["node_modules/maplibre-gl"];
if (locked.version !== about.version) {
  console.error(`wanted maplibre-gl ${locked.version}, found ${about.version}. Run npm ci --prefix tools/page.`);
  process.exit(1);
}
await rm(OUT, { recursive: true, force: true }); // files that a newer version lacks must not stay
await mkdir(OUT, { recursive: true });
for (const file of FILES) await copyFile(join(PACKAGE, file), join(OUT, file.split("/").at(-1)));
await writeFile(join(OUT, "THIRD-PARTY.txt"), await licences());
const files = {};
for (const name of (await readdir(OUT)).sort()) {
  const content = await readFile(join(OUT, name));
  const from = FILES.find((file) => file.endsWith(name)) ?? "the licences of its dependencies";
  files[name] = { from, bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}
const source = {
  package: about.name,
  version: about.version,
  licence: about.license,
  integrity: locked.integrity,
  files,
};
await writeFile(join(OUT, "SOURCE.json"), `${JSON.stringify(source, null, 1)}\n`);
console.log(`${about.name} ${about.version}: ${FILES.length} files to ${OUT}`);

/** Licences of the packages that are bundled into the script, one after the other. */
async function licences() {
  const parts = [];
  for (const [path, entry] of Object.entries(lock.packages).sort()) {
    const name = path.replace(/^.*node_modules\//, "");
    if (!path || name === "maplibre-gl" || name.startsWith("@types/")) continue;
    const inside = join(HERE, path);
    const found = (await readdir(inside)).filter((file) => /^(licen[cs]e|copying)/i.test(file)).sort();
    const text = found.length ? await readFile(join(inside, found[0]), "utf8") : `Licence: ${entry.license}\n`;
    parts.push(`${name} ${entry.version}\n\n${text.trim()}\n`);
  }
  return parts.join(`\n${"-".repeat(79)}\n\n`);
}
