// What an area is, and what to know before its numbers are used.

import { byId, el, fill } from "./dom.js";
import { UNIT } from "./words.js";

/** Banner, heading, and the choice of areas where there are several. */
export function showArea(area, areas) {
  byId("banner").textContent = area.banner;
  byId("banner").dataset.simulated = String(area.simulated);
  document.title = `${area.simulated ? "Simulated: " : ""}Microcystin map – spectm`;
  byId("areas").hidden = areas.length < 2;
  fill(
    byId("area"),
    areas.map((one) => el("option", { value: one.id, selected: one.id === area.id }, `${one.id}: ${one.title}`)),
  );
}

/** What a map covers, as in the bulletin. */
function extent([west, south, east, north]) {
  const span = (low, high, minus, plus) => {
    if (high <= 0) return `${(-high).toFixed(2)} to ${(-low).toFixed(2)}° ${minus}`;
    if (low >= 0) return `${low.toFixed(2)} to ${high.toFixed(2)}° ${plus}`;
    return `${(-low).toFixed(2)}° ${minus} to ${high.toFixed(2)}° ${plus}`;
  };
  return `${span(south, north, "S", "N")}, ${span(west, east, "W", "E")}`;
}

/** Caveats, thresholds with their sources, and where the numbers come from. */
export function showAbout(area, outline) {
  const caveats = [
    "This informs and decides nothing: it replaces no laboratory sample and no advisory.",
    area.caveat,
    "An interval holds the true value as often as it says only for water and weeks like those that the model " +
      "learned from. A flag says that a spectrum is not; the absence of a flag promises nothing.",
    "A cell is an average over a kilometre or more and over the passes of a week. Scum at a beach can hold a " +
      "hundred times more than the cell around it.",
    "Where nothing was seen, nothing is known: an empty part of the map is not clean water.",
  ];
  fill(byId("caveats"), caveats.filter(Boolean).map((text) => el("li", {}, text)));
  fill(byId("sources"), profiles(area.thresholds));
  const facts = [
    ["What is shown", area.about],
    ["From", area.title],
    ["Where", `${extent(area.bounds)}, in cells of ${area.cell_degrees}°`],
    ["Model", `${area.model}, spectm ${area.spectm_version}`],
    ["Shore", outline.source],
  ];
  fill(
    byId("origin"),
    facts.filter(([, text]) => text).flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
  );
}

function profiles(thresholds) {
  const names = [...new Set(thresholds.map((one) => one.profile))];
  return names.flatMap((name) => {
    const own = thresholds.filter((one) => one.profile === name);
    return [
      el("dt", {}, `${own[0].profile_title} (${name})`),
      ...own.map((one) => el("dd", {}, `${one.value} ${UNIT}, ${one.name ?? ""}: ${one.what}`)),
      el("dd", { class: "meta" }, `Source: ${own[0].source}${own[0].date ? `, ${own[0].date}` : ""}.`),
    ];
  });
}
