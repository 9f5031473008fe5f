// The weeks of one place: estimates with intervals, the newest forecast, and what a laboratory found.

import { SIZE, chart, figure, inner, linear, logTicks, logarithmic, xAxis, yAxis } from "./axes.js";
import { el, svg, table } from "./dom.js";
import { NOTHING, amount, capital, day, interval } from "./words.js";

const FLOOR = 0.05;
const CEILING = 25; // µg/L, where nothing lies beyond
const DAY = 86_400_000;
const SHORT = { day: "numeric", month: "short" };
const YEAR = { ...SHORT, year: "numeric" };
const SIGNS = "Squares: estimates, with 50 % (thick) and 90 % (thin) intervals; open squares are flagged.";
const FORECAST = " Diamond: the newest forecast.";
const LABORATORY = " Dots: laboratory; open triangles: below detection, at its limit.";

const seen = (row) => row.microcystin !== null;
const time = (text) => Date.parse(`${text.slice(0, 10)}T00:00:00Z`);

/** The chart and its table, or words where there is nothing to draw. */
export function seriesFigure({ past, ahead, thresholds, least, first, name }) {
  const known = past.filter(seen);
  const sampled = past.filter((row) => row.laboratory !== null && row.laboratory !== undefined);
  if (!known.length && !sampled.length) return el("p", {}, "This place was not seen in any of the weeks.");
  const last = past.at(-1);
  const next = ahead.filter((row) => seen(row) && time(row.about) > time(last?.about ?? row.about)).at(-1) ?? null;
  const drawn = next ? [...known, next] : known;
  const top = 2 * Math.max(CEILING, ...drawn.map((row) => row.high90 ?? 0), ...sampled.map((row) => row.laboratory));
  const span = [time(past[0].first), Math.max(time(last.last), ...(next ? [time(next.about)] : []))];
  const pad = Math.max(2 * DAY, (span[1] - span[0]) * 0.03);
  const x = linear(span[0] - pad, span[1] + pad, inner.left, inner.right);
  const y = logarithmic(FLOOR, top, inner.bottom, inner.top);
  const picture = chart(
    wordsFor(name, known, least),
    yAxis(y, logTicks(FLOOR, top), "microcystin, µg/L"),
    xAxis(x, dateTicks(span)),
    thresholdLines(y, thresholds, top),
    first ? svg("rect", shown(past, first, x)) : null,
    known.map((row) => estimate(row, x, y)),
    next ? forecast(next, x, y) : null,
    sampled.map((row) => laboratory(row, x, y)),
  );
  const signs = [
    SIGNS,
    next ? FORECAST : "",
    sampled.length ? LABORATORY : "",
    thresholds.length ? " Broken lines: the thresholds." : "",
  ].join("");
  return figure(picture, signs, "The weeks as a table", seriesTable(past, next, least, sampled.length > 0));
}

function wordsFor(name, known, least) {
  if (!known.length) return `Weeks of ${name}: no estimate, laboratory values only.`;
  const most = known.reduce((one, other) => (other.microcystin > one.microcystin ? other : one));
  const newest = known.at(-1);
  return (
    `Weeks of ${name}: ${known.length} with an estimate. The highest is ${amount(most.microcystin, least)} µg/L about ` +
    `${day(most.about)}, the newest ${amount(newest.microcystin, least)} µg/L about ${day(newest.about)}.`
  );
}

/** The days that the map shows. */
function shown(past, first, x) {
  const row = past.find((one) => one.first === first);
  if (!row) return { width: 0, height: 0 };
  const [left, right] = [x(time(row.first)), x(time(row.last) + DAY)];
  return { x: left, width: right - left, y: inner.top, height: inner.bottom - inner.top, class: "now" };
}

function estimate(row, x, y) {
  const at = x(time(row.about));
  return svg(
    "g",
    { class: "estimate" },
    svg("line", { x1: at, x2: at, y1: y(row.low90), y2: y(row.high90), class: "thin" }),
    svg("line", { x1: at, x2: at, y1: y(row.low50), y2: y(row.high50), class: "thick" }),
    svg("rect", { x: at - 4, y: y(row.microcystin) - 4, width: 8, height: 8, class: row.flagged ? "open" : "full" }),
  );
}

function forecast(row, x, y) {
  const [at, middle] = [x(time(row.about)), y(row.microcystin)];
  return svg(
    "g",
    { class: "forecast" },
    svg("line", { x1: at, x2: at, y1: y(row.low90), y2: y(row.high90), class: "thin" }),
    svg("line", { x1: at, x2: at, y1: y(row.low50), y2: y(row.high50), class: "thick" }),
    svg("path", { d: `M${at} ${middle - 6} l6 6 l-6 6 l-6 -6 z`, class: "open" }),
  );
}

function laboratory(row, x, y) {
  const [at, middle] = [x(time(row.about)) + 5, y(row.laboratory)];
  if (row.laboratory_below_detection)
    return svg("path", { d: `M${at - 4} ${middle - 3} h8 l-4 7 z`, class: "laboratory open" });
  return svg("circle", { cx: at, cy: middle, r: 3.2, class: "laboratory" });
}

function thresholdLines(y, thresholds, top) {
  const values = [...new Set(thresholds.map((one) => one.value))].filter((value) => value < top);
  return values.flatMap((value) => [
    svg("line", { x1: inner.left, x2: inner.right, y1: y(value), y2: y(value), class: "threshold" }),
    svg("text", { x: SIZE.width - SIZE.right + 4, y: y(value) + 4, class: "label" }, String(value)),
  ]);
}

function dateTicks([first, last]) {
  const n = 4;
  return Array.from({ length: n + 1 }, (_, i) => {
    const at = first + (Math.round(((last - first) / DAY) * (i / n)) * DAY || 0);
    return { at, text: new Date(at).toLocaleDateString("en-GB", { ...SHORT, timeZone: "UTC" }) };
  }).filter((tick, i, all) => !i || tick.at !== all[i - 1].at);
}

function seriesTable(past, next, least, withLaboratory) {
  const row = (one, kind) => [
    `${kind}${day(one.first, SHORT)} to ${day(one.last, YEAR)}`,
    amount(one.microcystin, least),
    interval(one.low90, one.high90, least),
    seen(one) ? (one.flagged ? "yes" : "no") : NOTHING,
    ...(withLaboratory ? [fromLaboratory(one)] : []),
  ];
  const columns = ["Days", "µg/L", "90 % interval", "Flagged", ...(withLaboratory ? ["Laboratory"] : [])];
  const rows = past.map((one) => row(one, ""));
  if (next) rows.push(row(next, "8 days after "));
  return table("Weeks of this place", columns, rows.map(([head, ...more]) => [capital(head), ...more]));
}

function fromLaboratory(one) {
  if (one.laboratory === null || one.laboratory === undefined) return NOTHING;
  return one.laboratory_below_detection ? `below ${one.laboratory}` : amount(one.laboratory, 0);
}
