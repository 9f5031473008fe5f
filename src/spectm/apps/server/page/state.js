// What is looked at, kept in the address after #, so that a link opens the same view.

export const SHOWN = ["estimate", "interval", "exceedance"];

const NONE = { area: null, day: null, show: "estimate", horizon: 0, profile: null, threshold: null, at: null, station: null };

/** View that an address asks for; what it does not say, or says wrongly, is left to the page. */
export function readState(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...NONE, area: said.get("area"), profile: said.get("profile"), station: said.get("station") };
  if (/^\d{4}-\d{2}-\d{2}$/.test(said.get("day") ?? "")) state.day = said.get("day");
  if (SHOWN.includes(said.get("show"))) state.show = said.get("show");
  const horizon = Number(said.get("ahead") ?? 0);
  if (Number.isFinite(horizon)) state.horizon = horizon;
  const threshold = Number(said.get("above") ?? NaN);
  if (Number.isFinite(threshold) && threshold > 0) state.threshold = threshold;
  const at = (said.get("at") ?? "").split(",").map(Number);
  if (at.length === 2 && at.every(Number.isFinite) && Math.abs(at[0]) <= 90 && Math.abs(at[1]) <= 180) state.at = at;
  return state;
}

/** The same, to be read back by `readState`. */
export function writeState(state) {
  const said = new URLSearchParams();
  const put = (key, value) => value !== null && said.set(key, value);
  put("area", state.area);
  put("day", state.day);
  put("show", state.show);
  put("ahead", state.horizon);
  put("profile", state.profile);
  put("above", state.threshold);
  if (state.station !== null) put("station", state.station);
  else if (state.at) put("at", state.at.map((value) => Number(value.toFixed(5))).join(","));
  return `#${said}`;
}
