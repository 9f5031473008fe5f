// What people set: quantity, days, threshold; and the words that say what is shown.

import { inArea } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { SHOWN } from "./state.js";
import { UNIT, named } from "./words.js";

const SHORT = { estimate: "Estimate", interval: "Uncertainty", exceedance: "Above a threshold" };

/** Title of the map: what, and of which days. */
export function whatIsShown(state, area, periods) {
  const period = periods.find((one) => one.first === state.day);
  const what = named(area.looks[state.show].title, state.threshold);
  if (!state.horizon) return `${what}, ${period.label}`;
  return `${what}, ${state.horizon} days ahead: about ${period.ahead_label}`;
}

export class Controls {
  #change;
  #area = null;
  #periods = [];

  constructor({ change }) {
    this.#change = change;
    const slider = byId("period");
    slider.addEventListener("input", () => this.#step(Number(slider.value)));
    byId("earlier").addEventListener("click", () => this.#step(Number(slider.value) - 1));
    byId("later").addEventListener("click", () => this.#step(Number(slider.value) + 1));
    byId("profile").addEventListener("change", (event) => change({ profile: event.target.value, threshold: null }));
    byId("threshold").addEventListener("change", (event) => change({ threshold: Number(event.target.value) }));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
  }

  #step(position) {
    const period = this.#periods[Math.min(Math.max(position, 0), this.#periods.length - 1)];
    if (period) this.#change({ day: period.first });
  }

  /** A state that this area can show: what is missing or not there is replaced. */
  fitted(state, area, periods) {
    const day = state.day ?? area.latest;
    const period =
      periods.find((one) => one.first <= day && day <= one.last) ??
      periods.find((one) => one.first === area.latest) ??
      periods.at(-1);
    const horizon = area.horizons.includes(state.horizon) ? state.horizon : area.horizons[0];
    const profiles = area.thresholds.map((one) => one.profile);
    const profile = profiles.includes(state.profile) ? state.profile : (profiles[0] ?? null);
    const values = area.thresholds.filter((one) => one.profile === profile).map((one) => one.value);
    const threshold = values.includes(state.threshold) ? state.threshold : (values[0] ?? null);
    const show = state.show === "exceedance" && threshold === null ? "estimate" : state.show;
    return { ...state, area: area.id, day: period.first, horizon, profile, threshold, show };
  }

  /** Makes the choices of an area. */
  build(state, area, periods) {
    this.#area = area;
    this.#periods = periods;
    const shown = SHOWN.filter((one) => area.looks[one] && (one !== "exceedance" || area.thresholds.length));
    fill(byId("show"), shown.map((one) => this.#radio("show", one, SHORT[one], (value) => ({ show: value }))));
    const horizons = area.horizons.map((one) => {
      const words = one ? `${one} days ahead` : "These days";
      return this.#radio("horizon", one, words, (value) => ({ horizon: Number(value) }));
    });
    fill(byId("horizon"), horizons);
    const titles = new Map(area.thresholds.map((one) => [one.profile, one.profile_title]));
    fill(byId("profile"), [...titles].map(([name, title]) => el("option", { value: name }, title)));
    document.querySelector(".pair").hidden = !area.thresholds.length;
    byId("period").max = periods.length - 1;
    this.show(state, area, periods);
  }

  #radio(name, value, words, changes) {
    const input = el("input", { type: "radio", name, value, change: () => this.#change(changes(String(value))) });
    return el("label", {}, input, el("span", {}, words));
  }

  /** Sets every control to the state. */
  show(state, area, periods) {
    for (const input of document.querySelectorAll("#show input")) input.checked = input.value === state.show;
    for (const input of document.querySelectorAll("#horizon input")) input.checked = Number(input.value) === state.horizon;
    byId("profile").value = state.profile ?? "";
    const own = area.thresholds.filter((one) => one.profile === state.profile);
    const options = own.map((one) => el("option", { value: one.value }, `${one.value} ${UNIT}, ${one.name ?? one.what}`));
    const list = byId("threshold");
    if (list.dataset.profile !== `${area.id} ${state.profile}`) fill(list, options);
    list.dataset.profile = `${area.id} ${state.profile}`;
    list.value = String(state.threshold);
    this.#showDays(state, periods);
    byId("view-title").textContent = whatIsShown(state, area, periods);
  }

  #showDays(state, periods) {
    const position = periods.findIndex((one) => one.first === state.day);
    const slider = byId("period");
    slider.value = position;
    slider.setAttribute("aria-valuetext", periods[position].label);
    const count = el("span", { class: "meta" }, ` ${position + 1} of ${periods.length}`);
    fill(byId("days"), periods[position].label, count);
    // a button that is disabled while it has the focus loses it
    byId("earlier").setAttribute("aria-disabled", String(position === 0));
    byId("later").setAttribute("aria-disabled", String(position === periods.length - 1));
  }

  /** Addresses of the files of what is shown. */
  downloads(state, asked) {
    const file = (id, what, parameters, name) => {
      byId(id).href = inArea(state.area, what, parameters);
      byId(id).download = `${state.area}-${state.day}-${name}`;
    };
    file("download-cells", "cells.csv", { period: state.day, horizon: state.horizon }, "cells.csv");
    file("download-stations", "stations.csv", { period: state.day }, "stations.csv");
    file("download-map", "map.png", asked, `${state.show}.png`);
  }
}
