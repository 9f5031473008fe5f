// What charts share: scales, axes, and the frame around them.

import { el, svg } from "./dom.js";

export const SIZE = { width: 400, height: 240, left: 44, right: 30, top: 12, bottom: 34 };
const TICKS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000];

export const inner = {
  left: SIZE.left,
  right: SIZE.width - SIZE.right,
  top: SIZE.top,
  bottom: SIZE.height - SIZE.bottom,
};

/** From values between low and high to places between start and end. */
export function linear(low, high, start, end) {
  const span = high - low || 1;
  return (value) => start + ((value - low) / span) * (end - start);
}

export function logarithmic(low, high, start, end) {
  const inside = linear(Math.log(low), Math.log(high), start, end);
  return (value) => inside(Math.log(Math.max(value, low)));
}

/** Numbers to write along an axis of concentrations. */
export const logTicks = (low, high) => TICKS.filter((tick) => tick >= low && tick <= high);

/** Round numbers, about n of them. */
export function ticksBetween(low, high, n = 5) {
  const rough = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((times) => times * power >= rough) ?? 10);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step)
    found.push(Number(tick.toPrecision(6)));
  return found;
}

export function yAxis(scale, ticks, label) {
  return [
    svg("text", { x: 0, y: 0, class: "label", transform: `translate(11 ${(inner.top + inner.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, label),
    ...ticks.flatMap((tick) => [
      svg("line", { x1: inner.left, x2: inner.right, y1: scale(tick), y2: scale(tick), class: "grid" }),
      svg("text", { x: inner.left - 5, y: scale(tick) + 4, "text-anchor": "end" }, String(tick)),
    ]),
  ];
}

export function xAxis(scale, ticks, label = null) {
  return [
    svg("line", { x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom, class: "axis" }),
    ...ticks.flatMap(({ at, text }) => [
      svg("line", { x1: scale(at), x2: scale(at), y1: inner.bottom, y2: inner.bottom + 4, class: "axis" }),
      svg("text", { x: scale(at), y: inner.bottom + 15, "text-anchor": "middle" }, text),
    ]),
    label ? svg("text", { x: inner.right, y: SIZE.height - 3, class: "label", "text-anchor": "end" }, label) : null,
  ];
}

/** A picture with a name for those who don't see it. */
export const chart = (words, ...inside) =>
  svg(
    "svg",
    { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": words, class: "chart" },
    ...inside,
  );

/** The chart, what its signs mean, and its numbers as a table. */
export const figure = (picture, caption, summary, numbers) =>
  el(
    "figure",
    {},
    picture,
    el("figcaption", {}, caption),
    el("details", {}, el("summary", {}, summary), numbers),
  );
