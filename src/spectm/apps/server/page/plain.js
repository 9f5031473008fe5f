// The printed map as a picture, where there is no WebGL or the map's script is missing.

import { el, fill } from "./dom.js";

/** The same handles as the map that can be moved; places are chosen in the list or by coordinates. */
export function makePlain(container, { title }) {
  let address = null;
  const image = el("img", { alt: `Map of ${title}`, hidden: true });
  const note = "This browser draws no map that can be moved, so this is a picture of it. Places can be chosen in the list.";
  fill(container, image, el("p", { class: "meta" }, note));
  container.classList.add("is-plain");
  container.style.aspectRatio = "";
  return {
    picture: "map",
    async show(blob, words) {
      if (address) URL.revokeObjectURL(address);
      address = URL.createObjectURL(blob);
      image.src = address;
      image.alt = words;
      image.hidden = false;
    },
    clear() {
      image.hidden = true;
    },
    setStations() {},
    mark() {},
    setChosen() {},
    remove() {
      if (address) URL.revokeObjectURL(address);
      container.classList.remove("is-plain");
      fill(container);
    },
  };
}
