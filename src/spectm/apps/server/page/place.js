// The panel of the chosen place. Its weeks come at once, spectrum and explanation when they are opened.

import { Part, inArea, json } from "./api.js";
import { byId, el, fill, problem } from "./dom.js";
import { explanationOf } from "./explanation.js";
import { factsOf } from "./facts.js";
import { seriesFigure } from "./series.js";
import { spectrumFigure } from "./spectrum.js";
import { place as degrees } from "./words.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Place {
  #at = null;
  #state = null;
  #area = null;
  #forward = false;
  #weeks = null; // of the place, from the server
  #point;
  #series;
  #spectrum;
  #explanation;

  constructor({ back }) {
    const clear = () => this.#clear();
    this.#point = part("place-problem", (found) => this.#showPoint(found), { clear, busy: byId("place-facts") });
    this.#series = part("series-body", (found) => this.#showWeeks((this.#weeks = found)));
    this.#spectrum = part("spectrum-body", (found) => fill(byId("spectrum-body"), spectrumFigure(found)));
    this.#explanation = part("explanation-body", (found) =>
      fill(byId("explanation-body"), explanationOf(found, this.#area.detection_limit)),
    );
    byId("back").addEventListener("click", back);
    for (const id of ["spectrum", "explanation"]) byId(id).addEventListener("toggle", () => this.#askOpened());
  }

  /** The next place that is shown takes the focus, and is scrolled to where it can't be seen. */
  comeForward() {
    this.#forward = true;
  }

  close() {
    this.#at = this.#weeks = null;
    for (const one of [this.#point, this.#series, this.#spectrum, this.#explanation]) one.stop();
    byId("place").hidden = true;
  }

  /** A name that a link asks for and that is not there. */
  missing(name, stations) {
    this.close();
    byId("place").hidden = false;
    byId("place-title").textContent = name;
    byId("place-where").textContent = "";
    this.#clear();
    const known = stations.map((one) => one.name).join(", ");
    fill(byId("place-problem"), problem(`There is no station of this name on this map. There are ${known}.`));
  }

  show(at, state, area) {
    const other = JSON.stringify([at, area.id]) !== JSON.stringify([this.#at, this.#area?.id]);
    [this.#at, this.#state, this.#area] = [at, state, area];
    if (other) this.#clear(); // numbers of one place must not stand under the name of another
    const words = degrees(at.latitude, at.longitude);
    byId("place-title").textContent = state.station ?? words;
    byId("place-where").textContent = state.station ? words : "A place on the map";
    byId("place").hidden = false;
    const url = this.#address("point", { period: state.day, threshold: state.threshold });
    // the profile chooses rows among what is known, so it is part of the question
    this.#point.ask(`${url} ${state.profile} ${state.horizon}`, (signal) => json(url, signal));
    if (this.#forward) this.#bringForward();
  }

  #clear() {
    this.#weeks = null;
    for (const one of [this.#series, this.#spectrum, this.#explanation]) one.stop();
    for (const id of ["place-problem", "place-facts", "series-body", "spectrum-body", "explanation-body"]) fill(byId(id));
    for (const id of ["series", "spectrum", "explanation"]) byId(id).hidden = true;
  }

  #address(what, parameters = {}) {
    return inArea(this.#area.id, what, { ...this.#at, ...parameters });
  }

  #bringForward() {
    this.#forward = false;
    const title = byId("place-title");
    title.focus({ preventScroll: true });
    const { top } = title.getBoundingClientRect();
    if (top < 0 || top > innerHeight * 0.7)
      title.scrollIntoView({ block: "start", behavior: still.matches ? "auto" : "smooth" });
  }

  #showPoint(found) {
    fill(byId("place-problem"));
    fill(byId("place-facts"), factsOf(found, this.#area, this.#state));
    if (!this.#state.station) byId("place-where").textContent = `In the cell around ${degrees(found.latitude, found.longitude)}`;
    const seen = found.estimates.some((one) => one.microcystin !== null);
    byId("series").hidden = false;
    byId("spectrum").hidden = !seen;
    byId("explanation").hidden = !seen || !this.#area.can_explain;
    this.#askWeeks();
    if (seen) this.#askOpened();
  }

  #askWeeks() {
    if (this.#weeks) return this.#showWeeks(this.#weeks); // only days or thresholds have changed
    const [now, ahead] = this.#area.horizons;
    const urls = [now, ahead].map((horizon) => this.#address("series", { horizon }));
    this.#series.ask(urls[0], (signal) =>
      Promise.all([json(urls[0], signal), ahead === undefined ? [] : json(urls[1], signal)]),
    );
  }

  #askOpened() {
    if (!this.#at) return;
    for (const [id, one] of [
      ["spectrum", this.#spectrum],
      ["explanation", this.#explanation],
    ]) {
      if (!byId(id).open || byId(id).hidden) continue;
      const horizon = id === "explanation" ? this.#state.horizon : null;
      const url = this.#address(id, { period: this.#state.day, horizon });
      one.ask(url, (signal) => json(url, signal));
    }
  }

  #showWeeks([past, ahead]) {
    const { profile, day, station } = this.#state;
    const figure = seriesFigure({
      past,
      ahead,
      thresholds: this.#area.thresholds.filter((one) => one.profile === profile),
      least: this.#area.detection_limit,
      first: day,
      name: station ?? "this place",
    });
    fill(byId("series-body"), figure);
  }
}

/** A part of the panel with its own waiting and its own errors. */
function part(id, show, { clear = () => {}, busy = null } = {}) {
  const body = byId(id);
  return new Part({
    show,
    fail: (message, again) => {
      clear();
      fill(body, problem(message, () => (fill(body), again())));
    },
    busy: (on) => {
      (busy ?? body).setAttribute("aria-busy", String(on));
      if (on && !busy && !body.hasChildNodes()) fill(body, el("p", { class: "meta" }, "Loading …"));
    },
  });
}
