// The light that comes out of the water, and what the model infers in the windows that it was hidden.

import { chart, figure, inner, linear, ticksBetween, xAxis, yAxis } from "./axes.js";
import { el, svg, table } from "./dom.js";
import { NOTHING, digits } from "./words.js";

const known = (value) => value !== null && value !== undefined;

/** The chart and its table, or words where there is no spectrum. */
export function spectrumFigure({ wavelength, Rrs, inferred, windows, simulated }) {
  const all = [...Rrs, ...inferred].filter(known).map((value) => 1e3 * value);
  if (!all.length) return el("p", {}, "There is no spectrum of these days here: the place was not seen.");
  const shown = wavelength.filter((_, i) => known(Rrs[i]) || known(inferred[i]));
  const [low, high] = [Math.min(0, ...all), Math.max(...all)];
  const [first, last] = [Math.min(...shown), Math.max(...shown)];
  const x = linear(first, last, inner.left, inner.right);
  const y = linear(low, high + 0.05 * (high - low), inner.bottom, inner.top);
  const shades = windows.map(([from, to]) => {
    const [left, right] = [Math.max(x(from), inner.left), Math.min(x(to), inner.right)];
    return svg("rect", { x: left, width: Math.max(right - left, 0), y: inner.top, height: inner.bottom - inner.top, class: "window" });
  });
  const what = simulated ? "simulated measurement" : "measured";
  const picture = chart(
    `Spectrum from ${Math.round(first)} to ${Math.round(last)} nm; the highest reflectance is ${digits(high)} thousandths per steradian.`,
    shades,
    yAxis(y, ticksBetween(low, high, 6), "Rrs, 10⁻³ sr⁻¹"),
    xAxis(x, ticksBetween(first, last, 5).map((tick) => ({ at: tick, text: String(tick) })), "wavelength, nm"),
    svg("line", { x1: inner.left, x2: inner.right, y1: y(0), y2: y(0), class: "axis" }),
    lines(wavelength, Rrs, x, y, "measured"),
    lines(wavelength, inferred, x, y, "inferred"),
  );
  const caption = `Black: ${what}. Broken red: inferred by the model from the bands outside of the grey windows.`;
  return figure(picture, caption, "The spectrum as a table", spectrumTable({ wavelength, Rrs, inferred }, what));
}

/** A line for each stretch without a gap. */
function lines(wavelength, values, x, y, kind) {
  const stretches = [[]];
  wavelength.forEach((nm, i) => {
    if (known(values[i])) stretches.at(-1).push(`${x(nm).toFixed(1)},${y(1e3 * values[i]).toFixed(1)}`);
    else if (stretches.at(-1).length) stretches.push([]);
  });
  return stretches
    .filter((points) => points.length > 1)
    .map((points) => svg("polyline", { points: points.join(" "), class: kind }));
}

function spectrumTable({ wavelength, Rrs, inferred }, what) {
  const thousandths = (value) => (known(value) ? (1e3 * value).toFixed(2) : NOTHING);
  const rows = wavelength
    .map((nm, i) => [digits(nm, 4), thousandths(Rrs[i]), thousandths(inferred[i])])
    .filter((row) => row[1] !== NOTHING || row[2] !== NOTHING);
  return table("Spectrum, 10⁻³ sr⁻¹", ["nm", what, "inferred"], rows);
}
