// What is known of one place in one period, in words.

import { el, svg } from "./dom.js";
import { UNIT, amount, capital, interval, percent, plural } from "./words.js";

/** Estimates, exceedance, flags and age; or why there is no estimate. */
export function factsOf(point, area, state) {
  const seen = point.estimates.filter((one) => one.microcystin !== null);
  if (!seen.length) return [el("p", { class: "nothing" }, noEstimate(point))];
  return [
    point.flagged ? flagged(point.reasons) : null,
    el("div", { class: "cards" }, seen.map((one) => card(one, area, one.horizon === state.horizon))),
    exceedance(seen, area, state),
    el("p", { class: "meta" }, age(point)),
    !point.flagged && point.reasons.length ? el("p", { class: "meta" }, `To note: ${point.reasons.join("; ")}.`) : null,
  ];
}

function noEstimate(point) {
  const reason = point.reason ?? "nothing is known of it";
  return `No estimate for ${point.period.label}: ${reason}. Where nothing was seen, nothing is known: it need not be clean.`;
}

/** When an estimate is about, as people say it. */
export const aheadWords = (horizon) => (horizon ? `${horizon} days ahead` : "These days");

function card(one, area, chosen) {
  const least = area.detection_limit;
  const rows = [
    ["90 % interval", interval(one.low90, one.high90, least)],
    ["50 % interval", interval(one.low50, one.high50, least)],
    [`Below ${least}`, percent(one.below_detection_probability)],
  ];
  return el(
    "section",
    { class: chosen ? "card is-chosen" : "card" },
    el("h3", {}, aheadWords(one.horizon), el("span", { class: "meta" }, one.horizon ? `about ${one.about}` : one.about)),
    el("p", { class: "number" }, el("strong", {}, amount(one.microcystin, least)), ` ${UNIT}`),
    el("dl", {}, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
  );
}

/** A row for each threshold of the profile, a column for each horizon. */
function exceedance(seen, area, { profile }) {
  const wanted = area.thresholds.filter((one) => one.profile === profile);
  if (!wanted.length) return null;
  const chance = (one, value) => one.exceedance.find((each) => each.threshold === value)?.probability ?? null;
  const caption = `Probability of more than a threshold: ${wanted[0].profile_title}`;
  const head = ["Threshold", ...seen.map((one) => aheadWords(one.horizon))];
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: 0, "aria-label": caption },
    el(
      "table",
      { class: "chances" },
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
      el(
        "tbody",
        {},
        wanted.map((one) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, `${one.value} ${UNIT}`, el("span", { class: "meta" }, one.name ?? one.what)),
            seen.map((each) => el("td", {}, percent(chance(each, one.value)), share(chance(each, one.value)))),
          ),
        ),
      ),
    ),
  );
}

/** A bar as long as a share. */
function share(value) {
  if (value === null) return null;
  return svg(
    "svg",
    { viewBox: "0 0 60 6", preserveAspectRatio: "none", class: "share", "aria-hidden": "true" },
    svg("rect", { width: 60, height: 6, class: "rest" }),
    svg("rect", { width: 60 * value, height: 6, class: "part" }),
  );
}

function flagged(reasons) {
  return el(
    "div",
    { class: "flagged" },
    el("p", {}, el("strong", {}, "Flagged."), " The model has not learned from water like this, so its intervals may not hold here."),
    reasons.length ? el("ul", {}, reasons.map((reason) => el("li", {}, capital(reason)))) : null,
  );
}

function age({ n_observations: n, pixel_age_days: days }) {
  const pixels = `${plural(n, "clear pixel")} in this cell`;
  if (days === null) return `${pixels}.`;
  return `${pixels}, on average ${days < 1 ? "less than a day" : plural(Math.round(days), "day")} older than the end of the period.`;
}
