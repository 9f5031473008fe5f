// Questions to the server this page came from, and what to say when an answer is an error.

const ROOT = new URL("api/v1/", document.baseURI);

/** Address of something of the API; what is missing among the parameters is left out. */
export function address(path, parameters = {}) {
  const url = new URL(path, ROOT);
  for (const [key, value] of Object.entries(parameters))
    if (value !== null && value !== undefined) url.searchParams.set(key, value);
  return url.href;
}

/** Of an area: its name may come from a link, so it is escaped. */
export const inArea = (area, what, parameters) =>
  address(`areas/${encodeURIComponent(area)}${what ? `/${what}` : ""}`, parameters);

/** An answer, or an Error whose message is for people. */
async function answer(url, signal) {
  let found;
  try {
    found = await fetch(url, { signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server can’t be reached. It may have been stopped, or the network is down.");
  }
  if (found.ok) return found;
  let detail = null;
  try {
    detail = (await found.json()).detail;
  } catch {
    detail = null; // an error page of something in between
  }
  const failed = new Error(typeof detail === "string" ? detail : `The server answered with error ${found.status}.`);
  failed.status = found.status;
  throw failed;
}

export const json = async (url, signal) => (await answer(url, signal)).json();
export const blob = async (url, signal) => (await answer(url, signal)).blob();

/**
 * One part of the page that shows the answer to one question at a time: a newer question ends an older one, so that
 * an answer that comes late is never shown over a newer one.
 */
export class Part {
  #key = null;
  #abort = null;

  /** `show(answer)`, `fail(message, again, error)` and `busy(whether)` change the page. */
  constructor({ show, fail, busy = () => {} }) {
    Object.assign(this, { show, fail, busy });
  }

  /** Asks, unless it is what was asked last; `load(signal)` fetches. True where its answer was shown. */
  async ask(key, load) {
    if (key === this.#key) return false;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#key = key;
    this.busy(true);
    try {
      const found = await load(abort.signal);
      if (this.#abort !== abort) return false;
      this.busy(false);
      await this.show(found);
      return true;
    } catch (error) {
      if (this.#abort !== abort) return false;
      this.#key = null; // the same question may be asked again
      this.busy(false);
      // what is left of an older answer would stand under the newer question
      this.fail(error.message, () => this.ask(key, load), error);
      return false;
    }
  }

  /** Forgets the question; an answer on its way is not shown. */
  stop() {
    this.#abort?.abort();
    this.#abort = this.#key = null;
    this.busy(false);
  }
}
