// Numbers as people read them; the same rules as in the bulletin.

export const NOTHING = "–";
export const UNIT = "µg/L";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** To so many digits. */
export const digits = (value, n = 2) => String(Number(value.toPrecision(n)));

/** A concentration; what lies at the detection limit as below it. */
export function amount(value, least) {
  if (!known(value)) return NOTHING;
  return value <= least * (1 + 1e-6) ? `below ${least}` : digits(value);
}

/** Two ends of an interval. */
export function interval(low, high, least) {
  if (!known(low) || !known(high)) return NOTHING;
  return high <= least * (1 + 1e-6) ? amount(high, least) : `${amount(low, least)} to ${amount(high, least)}`;
}

/** A share; never 0 or 100 % where it is neither. */
export function percent(share) {
  if (!known(share)) return NOTHING;
  if (share > 0 && share < 0.01) return "under 1 %";
  if (share > 0.99 && share < 1) return "over 99 %";
  return `${Math.round(100 * share)} %`;
}

/** A factor, as of the width of an interval. */
export const factor = (value) => (known(value) ? `× ${digits(value)}` : NOTHING);

/** A number with its noun. */
export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en-GB")} ${n === 1 ? one : many}`;

/** Degrees with the letters of the compass. */
export function place(latitude, longitude) {
  const side = (value, plus, minus) => `${Math.abs(value).toFixed(3)}° ${value < 0 ? minus : plus}`;
  return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

/** A day as in a sentence: 2024-08-20 is 20 August 2024. */
export function day(text, options = { day: "numeric", month: "long", year: "numeric" }) {
  return new Date(`${text.slice(0, 10)}T00:00:00Z`).toLocaleDateString("en-GB", { ...options, timeZone: "UTC" });
}

/** A sentence's first letter, small or large. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A title that names the threshold. */
export const named = (text, threshold) => text.replaceAll(/\{threshold(:g)?\}/g, String(threshold));

/** Two numbers typed by hand, or what is wrong with them. */
export function coordinates(text) {
  const parts = text.trim().replaceAll("−", "-").replaceAll("°", " ").split(/[\s,;]+/).filter(Boolean);
  const turned = { s: -1, w: -1, n: 1, e: 1 };
  const numbers = [];
  for (const part of parts) {
    const letter = /^(.*?)([nsew])$/i.exec(part);
    if (letter && letter[1] === "" && numbers.length) numbers.push(numbers.pop() * turned[letter[2].toLowerCase()]);
    else if (letter) numbers.push(Number(letter[1]) * turned[letter[2].toLowerCase()]);
    else numbers.push(Number(part));
  }
  const [latitude, longitude] = numbers;
  if (numbers.length !== 2 || numbers.some((value) => !Number.isFinite(value)))
    return { wrong: "Wanted two numbers, latitude first: 41.83, -83.19." };
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180)
    return { wrong: "Wanted a latitude from -90 to 90 and a longitude from -180 to 180, latitude first." };
  return { latitude, longitude };
}
