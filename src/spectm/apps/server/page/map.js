// The map that can be moved: shore, coloured cells, stations, the chosen place.

import { el } from "./dom.js";

const LAND = "#e9e5dc";
const NOTHING = "#cdd3d8"; // where there is no estimate, be it land or water
const INK = "#1b1b1b";
const SIDES = ["right", "left", "above", "below"];
const GAP = 11; // pixels from the middle of a station to its name
const TALL = 18; // pixels that a name takes

/** Whether the browser can draw it at all. */
export function canDraw() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

/** Makes the map; `choose(latitude, longitude)` and `chooseStation(station)` are called when people do. */
export async function makeMap(container, { area, outline, title, choose, chooseStation }) {
  const library = await import("./vendor/maplibre-gl.mjs");
  const [west, south, east, north] = area.bounds;
  container.style.aspectRatio = String(shapeOf(area.bounds));
  const margin = [(east - west) * 0.6, (north - south) * 0.6];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = new library.Map({
    container,
    style: styleOf(area, outline),
    bounds: area.bounds,
    fitBoundsOptions: { padding: 8 },
    maxBounds: [west - margin[0], Math.max(south - margin[1], -85), east + margin[0], Math.min(north + margin[1], 85)],
    attributionControl: false,
    cooperativeGestures: true, // one finger and the wheel scroll the page, not the map
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    renderWorldCopies: east > 180, // a grid over the date line lies in two of them
    fadeDuration: 0,
    locale: {
      "Map.Title": `Map of ${title}. Arrow keys move it, plus and minus zoom, Enter chooses its middle.`,
    },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new library.NavigationControl({ showCompass: false }), "top-left");
  map.addControl(new library.ScaleControl({ maxWidth: 110 }), "bottom-right");
  const chooseOn = ({ lat, lng }) => choose(lat, ((((lng + 180) % 360) + 360) % 360) - 180);
  map.on("click", (event) => chooseOn(event.lngLat));
  const canvas = map.getCanvas();
  container.append(el("span", { class: "crosshair", "aria-hidden": "true" }));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") chooseOn(map.getCenter());
  });
  await ready(map);
  const on = ({ latitude, longitude }) => [longitude < west ? longitude + 360 : longitude, latitude];
  const stations = new Stations(library, map, { choose: chooseStation, on });
  let chosen = null;
  return {
    picture: "overlay",
    async show(blob) {
      const image = await createImageBitmap(blob);
      map.getSource("cells").updateImage({ image });
      map.triggerRepaint();
    },
    clear() {
      map.getSource("cells").updateImage({ image: new ImageData(1, 1) });
    },
    setStations: (found) => stations.show(found),
    mark: (name) => stations.mark(name),
    setChosen(place) {
      chosen?.remove();
      chosen = null;
      if (!place) return;
      const element = el("span", { class: "chosen", role: "img", "aria-label": "The chosen place" });
      chosen = new library.Marker({ element }).setLngLat(on(place)).addTo(map);
      if (!map.getBounds().contains(on(place))) map.easeTo({ center: on(place), animate: !still });
    },
    remove: () => map.remove(),
  };
}

/** Cells and shore on a plain ground; no tiles, no letters, nothing from elsewhere. */
function styleOf({ bounds: [west, south, east, north], unseen }, outline) {
  const corners = [
    [west, north],
    [east, north],
    [east, south],
    [west, south],
  ];
  return {
    version: 8,
    sources: {
      outline: { type: "geojson", data: outline },
      cells: { type: "image", coordinates: corners },
      beyond: { type: "geojson", data: beyond(corners) },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": unseen ? LAND : NOTHING } },
      {
        id: "cells",
        type: "raster",
        source: "cells",
        paint: { "raster-resampling": "nearest", "raster-fade-duration": 0 },
      },
      { id: "shore", type: "line", source: "outline", paint: { "line-color": INK, "line-width": 1.1 } },
      { id: "beyond", type: "fill", source: "beyond", paint: { "fill-color": "#ffffff", "fill-opacity": 0.65 } },
    ],
  };
}

/** Width over height of the grid in Web Mercator, within what suits a page. */
function shapeOf([west, south, east, north]) {
  const y = (latitude) => Math.atanh(Math.sin((latitude * Math.PI) / 180));
  return Math.min(Math.max((((east - west) * Math.PI) / 180 + 1e-9) / (y(north) - y(south) + 1e-9), 0.9), 2);
}

/** All of the world but the grid: nothing was computed there. */
function beyond(corners) {
  const world = [
    [-180, -85],
    [180, -85],
    [180, 85],
    [-180, 85],
    [-180, -85],
  ];
  return { type: "Polygon", coordinates: [world, [...corners, corners[0]]] };
}

/** Stations as rings with their names, each name where it covers nothing else. */
class Stations {
  #library;
  #map;
  #choose;
  #on;
  #shown = [];

  constructor(library, map, { choose, on }) {
    this.#on = on;
    this.#library = library;
    this.#map = map;
    this.#choose = choose;
    map.on("moveend", () => this.#placeNames());
    map.on("resize", () => this.#placeNames());
  }

  show(found) {
    for (const { marker } of this.#shown) marker.remove();
    this.#shown = found.map((station) => {
      const label = el("span", { class: "name" }, station.name);
      const ring = el("span", { class: "ring" });
      // reached by keyboard through the list beside the map, which holds the same stations
      const element = el(
        "button",
        { type: "button", class: "station", tabindex: -1, "aria-label": `Station ${station.name}` },
        ring,
        label,
      );
      element.addEventListener("click", (event) => {
        event.stopPropagation(); // or the map would be clicked as well
        this.#choose(station);
      });
      const at = this.#on(station);
      const marker = new this.#library.Marker({ element }).setLngLat(at).addTo(this.#map);
      return { station, marker, element, label, at };
    });
    this.#placeNames();
  }

  mark(name) {
    for (const { station, element } of this.#shown) element.classList.toggle("is-chosen", station.name === name);
  }

  #placeNames() {
    const points = this.#shown.map(({ at }) => this.#map.project(at));
    const taken = points.map(({ x, y }) => [x - 8, y - 8, x + 8, y + 8]);
    this.#shown.forEach(({ element, label }, i) => {
      const boxes = boxesAround(points[i], label.offsetWidth);
      const others = taken.filter((_, j) => j !== i);
      const side = SIDES.find((one) => !others.some((box) => overlap(boxes[one], box)));
      element.dataset.side = side ?? "none";
      if (side) taken.push(boxes[side]);
    });
  }
}

function boxesAround({ x, y }, wide) {
  const half = wide / 2;
  return {
    right: [x + GAP, y - TALL / 2, x + GAP + wide, y + TALL / 2],
    left: [x - GAP - wide, y - TALL / 2, x - GAP, y + TALL / 2],
    above: [x - half, y - GAP - TALL, x + half, y - GAP],
    below: [x - half, y + GAP, x + half, y + GAP + TALL],
  };
}

const overlap = (one, other) =>
  one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

/** As soon as things can be put on it; `load` would wait for the first picture. */
function ready(map) {
  return new Promise((resolve, reject) => {
    map.once("style.load", resolve);
    map.once("error", ({ error }) => reject(error));
  });
}
