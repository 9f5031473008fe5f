// Colours with their numbers, and what the other signs mean.

import { el, fill, svg } from "./dom.js";
import { named } from "./words.js";

const WIDTH = 420;
const LEFT = 22;
const BAR = { y: 2, height: 16 };

/** Where a value lies along the bar, from 0 to 1. */
export function shareOf(look, value) {
  const scale = look.logarithmic ? Math.log : (x) => x;
  return (scale(value) - scale(look.low)) / (scale(look.high) - scale(look.low));
}

export const tickText = (look, tick) => (look.high === 1 ? `${Math.round(100 * tick)} %` : String(tick));

/** `unseen` is the colour of water that was not seen, where the server draws it. */
export function showLegend(element, look, threshold, unseen) {
  const label = named(look.label, threshold);
  const ends = `${tickText(look, look.low)} is light, ${tickText(look, look.high)} is dark`;
  fill(
    element,
    el("p", { class: "legend-title" }, label),
    bar(look, `${label}: ${ends}`),
    el(
      "ul",
      { class: "signs" },
      el("li", {}, swatch("hatched", look.stops[Math.floor(look.stops.length / 3)][1]), "flagged: unlike the water the model learned from"),
      el("li", {}, swatch("blank", unseen), unseen ? "water that was not seen" : "no estimate: not seen, or land"),
      el("li", {}, swatch("round"), "station"),
    ),
  );
}

function bar(look, words) {
  const long = WIDTH - 2 * LEFT;
  const x = (value) => LEFT + long * shareOf(look, value);
  const stops = look.stops.map(([value, colour]) =>
    svg("stop", { offset: shareOf(look, value), "stop-color": colour }),
  );
  const ticks = look.ticks.flatMap((tick) => [
    svg("line", { x1: x(tick), x2: x(tick), y1: BAR.y + BAR.height, y2: BAR.y + BAR.height + 5, class: "axis" }),
    svg("text", { x: x(tick), y: BAR.y + BAR.height + 19, "text-anchor": "middle" }, tickText(look, tick)),
  ]);
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 40`, role: "img", "aria-label": words, class: "bar" },
    svg("defs", {}, svg("linearGradient", { id: "colours" }, stops)),
    svg("rect", { x: LEFT, width: long, ...BAR, fill: "url(#colours)", class: "axis" }),
    ticks,
  );
}

function swatch(kind, colour = null) {
  const inside = {
    hatched: [
      svg("rect", { width: 24, height: 16, fill: colour }),
      ...[-8, 0, 8, 16].map((x) => svg("path", { d: `M${x} 16 l16 -16`, class: "hatch" })),
    ],
    blank: [svg("rect", { width: 24, height: 16, class: colour ? null : "blank", fill: colour })],
    round: [svg("circle", { cx: 12, cy: 8, r: 5, class: "round" })],
  };
  return svg("svg", { viewBox: "0 0 24 16", class: "swatch", "aria-hidden": "true" }, inside[kind]);
}
