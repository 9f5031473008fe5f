// Elements from plain values. Text only ever becomes text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element of HTML with attributes; a function is a listener; what follows is put inside. */
export function el(name, attributes = {}, ...inside) {
  return filled(document.createElement(name), attributes, inside);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...inside) {
  return filled(document.createElementNS(SVG, name), attributes, inside);
}

function filled(element, attributes, inside) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...inside.flat().filter((part) => part !== null && part !== undefined));
  return element;
}

/** Puts these in the place of what was inside. */
export function fill(element, ...inside) {
  element.replaceChildren(...inside.flat().filter((part) => part !== null && part !== undefined));
}

/** A table; the first column heads its row. */
export function table(caption, columns, rows) {
  const cells = (row) => row.map((cell, i) => (i ? el("td", {}, cell) : el("th", { scope: "row" }, cell)));
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: 0, "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col" }, column)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row)))),
    ),
  );
}

/** What went wrong, in words, and a way to try again. */
export function problem(message, again) {
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("p", {}, message),
    again ? el("p", {}, el("button", { type: "button", click: again }, "Try again")) : null,
  );
}
