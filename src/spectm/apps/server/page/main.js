// The page: one state, kept in the address; what is shown follows from it.

import { Part, blob, inArea, address, json } from "./api.js";
import { Controls, whatIsShown } from "./controls.js";
import { byId, el, fill, problem } from "./dom.js";
import { showLegend } from "./legend.js";
import { canDraw, makeMap } from "./map.js";
import { makePlain } from "./plain.js";
import { Place } from "./place.js";
import { readState, writeState } from "./state.js";
import { showStations, valueOf } from "./stations.js";
import { showAbout, showArea } from "./about.js";
import { coordinates, day, plural } from "./words.js";

const WAIT = 150; // ms that the slider must rest before a map is asked for
const SILENCE = 700; // ms after the last change until it is said

let state = readState(location.hash);
let areas = [];
let area = null; // as the server describes it
let periods = [];
let stations = [];
let map = null;
let waiting = 0;
let speaking = 0;

const controls = new Controls({ change, announce: say });
const place = new Place({ back: () => byId("places-title").focus() });
const starting = new Part({ show: started, fail: failed("page-problem") });
const opening = new Part({
  show: opened,
  fail: (...why) => {
    byId("area").value = area?.id ?? "";
    failed("page-problem")(...why);
  },
});
const drawing = new Part({
  show: drawn,
  fail: (...why) => {
    map.clear();
    delete byId("map").dataset.shown;
    failed("map-problem")(...why);
  },
  busy: (on) => {
    byId("busy").hidden = !on;
    byId("map").setAttribute("aria-busy", String(on));
  },
});
const listing = new Part({
  show: listed,
  fail: (...why) => {
    listed([]);
    failed("stations-problem")(...why);
  },
  busy: (on) => byId("stations").setAttribute("aria-busy", String(on)),
});

function failed(id) {
  return (message, again) => {
    fill(byId(id), problem(message, () => (fill(byId(id)), again())));
  };
}

/** Says something to those who don't see the page, once changes have come to rest. */
function say(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => (byId("said").textContent = text), SILENCE);
}

function start() {
  starting.ask("areas", (signal) => json(address("areas"), signal));
}

function started(found) {
  fill(byId("page-problem"));
  areas = found;
  if (!areas.length) return failed("page-problem")("This server has no map to show.", start);
  const wanted = areas.some((one) => one.id === state.area) ? state.area : areas[0].id;
  if (state.area && wanted !== state.area) say(`There is no area ${state.area}; this is ${wanted}.`);
  open({ ...state, area: wanted });
}

/** Reads what an area is, its periods and its shore. */
function open(wanted) {
  state = wanted;
  const of = (what) => inArea(state.area, what);
  opening.ask(state.area, (signal) => Promise.all(["", "periods", "outline"].map((what) => json(of(what), signal))));
}

async function opened([found, foundPeriods, outline]) {
  fill(byId("page-problem"));
  [area, periods] = [found, foundPeriods];
  showArea(area, areas, outline);
  showAbout(area, outline);
  byId("parts").hidden = false;
  if (!periods.length) return failed("page-problem")("No days have been predicted here yet.", start);
  const wanted = state.day;
  state = controls.fitted(state, area, periods);
  const covered = !wanted || periods.some((one) => one.first <= wanted && wanted <= one.last);
  if (!covered) fill(byId("page-problem"), el("p", { class: "meta" }, `Nothing was predicted for ${day(wanted)}; these are other days.`));
  controls.build(state, area, periods);
  await makeOne(outline);
  refresh();
}

/** The map that can be moved, or a picture where it can't be made. */
async function makeOne(outline) {
  map?.remove();
  const container = byId("map");
  const options = { area, outline, title: area.title, choose: chooseAt, chooseStation };
  container.dataset.kind = "none";
  const before = area;
  let made = null;
  try {
    made = canDraw() ? await makeMap(container, options) : null;
  } catch {
    fill(container); // half a map
    container.className = "map";
  }
  map = made ?? makePlain(container, options);
  container.dataset.kind = map.picture;
  byId("stamp").hidden = !(before.simulated && map.picture === "overlay"); // the picture has its own
  byId("places-hint").textContent =
    map.picture === "overlay"
      ? "Choose a station, click the map, or give coordinates."
      : "Choose a station, or give coordinates.";
}

/** A change by a person: the address and all that depends on it follow. */
function change(changes, { soon = false } = {}) {
  const other = changes.area && changes.area !== state.area;
  if (other) {
    place.close();
    for (const part of [drawing, listing]) part.stop();
    return open({ ...readState(""), area: changes.area, show: state.show });
  }
  state = controls.fitted({ ...state, ...changes }, area, periods);
  controls.show(state, area, periods);
  clearTimeout(waiting);
  waiting = setTimeout(refresh, soon ? 0 : WAIT);
}

/** Asks for what the state needs and is not there yet. */
function refresh() {
  history.replaceState(null, "", writeState(state));
  const period = periods.find((one) => one.first === state.day);
  const threshold = state.show === "exceedance" ? state.threshold : null;
  const asked = { what: state.show, period: state.day, horizon: state.horizon, threshold };
  const picture = inArea(state.area, `${map.picture}.png`, asked);
  drawing.ask(picture, (signal) => blob(picture, signal));
  const listed = inArea(state.area, "stations", { period: state.day, threshold: state.threshold });
  listing.ask(listed, (signal) => json(listed, signal)).then((fresh) => fresh || showList());
  showLegend(byId("legend"), area.looks[state.show], state.threshold, area.unseen);
  byId("legend").hidden = map.picture === "map"; // the picture has its own
  byId("view-note").textContent =
    `${plural(period.n_estimates, "cell has", "cells have")} an estimate, ${period.n_flagged.toLocaleString("en-GB")} of them flagged.`;
  controls.downloads(state, asked);
  showPlace();
}

async function drawn(picture) {
  fill(byId("map-problem"));
  const words = whatIsShown(state, area, periods);
  await map.show(picture, words);
  byId("map").dataset.shown = writeState({ ...state, at: null, station: null });
  say(`The map shows: ${words}.`);
}

function listed(found) {
  fill(byId("stations-problem"));
  stations = found.toSorted((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  map.setStations(stations);
  showList();
  if (state.station && !state.at) showPlace();
}

function showList() {
  showStations(byId("stations"), stations, state, area.detection_limit, chooseStation);
  map.mark(state.station);
}

/** The chosen place, as soon as it is known where that is. */
function showPlace() {
  if (state.station && !state.at) {
    if (!stations.length) return;
    const station = stations.find((one) => one.name === state.station);
    if (!station) return place.missing(state.station, stations);
    state.at = [station.latitude, station.longitude];
  }
  const at = state.at && { latitude: state.at[0], longitude: state.at[1] };
  map.setChosen(at);
  if (at) place.show(at, state, area);
  else place.close();
}

function chooseAt(latitude, longitude) {
  choose({ station: null, at: [latitude, longitude] });
}

function chooseStation(station) {
  choose({ station: station.name, at: [station.latitude, station.longitude] });
  say(`${station.name}: ${valueOf(station.estimates, state, area.detection_limit)}.`);
}

function choose(changes) {
  change(changes, { soon: true });
  place.comeForward();
}

byId("coordinates").addEventListener("submit", (event) => {
  event.preventDefault();
  const found = coordinates(byId("at").value);
  byId("at-problem").textContent = found.wrong ?? "";
  byId("at").setAttribute("aria-invalid", String(Boolean(found.wrong)));
  if (found.wrong) byId("at").focus();
  else chooseAt(found.latitude, found.longitude);
});

byId("area").addEventListener("change", (event) => change({ area: event.target.value }));

addEventListener("hashchange", () => {
  if (!location.hash.includes("=")) return; // a place on the page, not a view
  const wanted = readState(location.hash);
  if (!area) return;
  if (wanted.area && wanted.area !== area.id) {
    state = wanted;
    return started(areas);
  }
  change({ ...wanted, area: area.id }, { soon: true });
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address after # holds the view
  byId("places-title").focus();
});

start();
