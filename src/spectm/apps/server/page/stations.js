// The list of stations: each with what the map shows there.

import { el, fill } from "./dom.js";
import { UNIT, amount, factor, percent } from "./words.js";

/** What the map shows at a place, in words and without the place. */
export function valueOf(estimates, { show, horizon, threshold }, least) {
  const here = estimates.find((one) => one.horizon === horizon);
  if (!here || here.microcystin === null) return "no estimate";
  if (show === "estimate") return `${amount(here.microcystin, least)} ${UNIT}`;
  if (show === "interval") return factor(here.high90 / here.low90);
  return percent(here.exceedance.find((one) => one.threshold === threshold)?.probability);
}

/** Fills the list; the chosen one is pressed. */
export function showStations(list, stations, state, least, choose) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  fill(
    list,
    stations.map((station) => {
      const value = valueOf(station.estimates, state, least);
      const flag = station.flagged && value !== "no estimate" ? el("span", { class: "flag" }, " flagged") : null;
      const button = el(
        "button",
        {
          type: "button",
          "aria-pressed": String(station.name === state.station),
          click: () => choose(station),
        },
        el("span", { class: "name" }, station.name),
        el("span", { class: "value" }, value, flag),
      );
      button.dataset.name = station.name;
      return el("li", {}, button);
    }),
  );
  if (focused !== null)
    [...list.querySelectorAll("button")].find((button) => button.dataset.name === focused)?.focus();
}
