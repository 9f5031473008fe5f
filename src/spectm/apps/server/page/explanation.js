// The steps from the laboratory's average to an estimate.

import { el, svg, table } from "./dom.js";
import { NOTHING, amount, capital, digits } from "./words.js";

const WIDE = 110; // of the bars, pixels

/** The text of the server and a row for each step. */
export function explanationOf({ text, start, estimate, parts }, least) {
  const most = Math.max(...parts.map((part) => Math.abs(part.change_log10)), 0.05);
  const rows = parts.map((part) => [
    capital(part.name),
    words(part.change_log10),
    bar(part.change_log10, most),
    part.about,
  ]);
  return [
    el("p", {}, `From ${amount(start, 0)} µg/L, the laboratory’s average, to ${amount(estimate, least)} µg/L.`),
    table("Steps to the estimate", ["Step", "Change, log10", "Lower | higher", "What it is"], rows),
    ...text.split(/\n+/).filter(Boolean).map((part) => el("p", { class: "meta" }, part)),
  ];
}

function words(change) {
  if (!Number.isFinite(change)) return NOTHING;
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)} (× ${digits(10 ** change)})`;
}

/** A bar to the left where a step makes it lower, to the right where it makes it higher. */
function bar(change, most) {
  const long = (change / most) * (WIDE / 2 - 2);
  const middle = WIDE / 2;
  const look = { x: middle + Math.min(long, 0), width: Math.abs(long), y: 2, height: 10 };
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDE} 14`, width: WIDE, height: 14, class: "effect", "aria-hidden": "true" },
    svg("rect", { ...look, class: change < 0 ? "less" : "more" }),
    svg("line", { x1: middle, x2: middle, y1: 0, y2: 14, class: "axis" }),
  );
}
