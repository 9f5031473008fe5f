"""Stores that are served, each under a name, while another process may be writing them."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from spectm.apps.moment import Moment, moment_at
from spectm.apps.places import Station, stations_of, usual_stations
from spectm.apps.record import RECORD
from spectm.apps.store import Store, open_store
from spectm.apps.store_writer import MAPS
from spectm.data.grid import Grid, grid_of_centres
from spectm.data.labels import Labels
from spectm.errors import BusyError, SpectmError, StoreError

__all__ = ["Area", "Snapshot", "find_areas"]

Answer = TypeVar("Answer")
Stamp = tuple[tuple[int, int, int], ...]

TRIES = 4
KEPT_MOMENTS = 16  # periods and horizons in memory; a basin's take a megabyte, a large lake's ten
KEPT_ANSWERS = 128  # pictures and tables


@dataclass(slots=True)
class Kept:
    """The answers that were asked for last, at most so many."""

    most: int
    found: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: object, make: Callable[[], Answer]) -> Answer:
        """What is kept under a key, or is made now."""
        with self.lock:
            if key in self.found:
                self.found.move_to_end(key)
                return self.found[key]
        made = make()  # two who ask at once both make it: nobody waits for a lock
        with self.lock:
            self.found[key] = made
            while len(self.found) > self.most:
                self.found.popitem(last=False)
        return made


@dataclass(slots=True, eq=False)
class Snapshot:
    """A store as it was when it was opened, and what was read and made of it since.

    Parameters
    ----------
    store : Store
    moments, answers : Kept
        Fields in memory; pictures and tables.
    """

    store: Store
    moments: Kept = field(default_factory=lambda: Kept(KEPT_MOMENTS))
    answers: Kept = field(default_factory=lambda: Kept(KEPT_ANSWERS))

    @property
    def grid(self) -> Grid:
        """Cells of the maps."""
        return grid_of_centres(self.store.dataset["lat"].values, self.store.dataset["lon"].values)

    def moment(self, position: int, horizon: float) -> Moment:
        """Fields of a period and horizon, in memory."""
        return self.moments.get((position, horizon), lambda: moment_at(self.store, position, horizon=horizon))


class Area:
    """One store under its name.

    Parameters
    ----------
    name : str
        Part of addresses: letters, digits and hyphens.
    folder : Path
        Of predictions.
    stations : list of Station, optional
        Those of the laboratory's record, or GLERL's, otherwise.
    labels : Labels, optional
        The laboratory's record, beside the weeks of a place.
    shore : Path, optional
        GeoJSON.

    Raises
    ------
    StoreError
        If the folder holds no maps.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        stations: list[Station] | None = None,
        labels: Labels | None = None,
        shore: Path | None = None,
    ) -> None:
        self.name, self.folder, self.labels, self.shore = name, folder, labels, shore
        self._given = stations
        self._lock = threading.Lock()
        self._opened = self._stamp(), Snapshot(open_store(folder))
        self.ask(lambda now: now.store.dataset)  # refuses a store of points alone

    def ask(self, question: Callable[[Snapshot], Answer]) -> Answer:
        """Answer of the store as it is now.

        A writer first takes the mark from a period, and then changes it; so an answer counts where the
        marks are the same before and after.

        Raises
        ------
        BusyError
            If the store goes on changing, or can't be read while it is.
        StoreError, ...
            Whatever the question raises while the store stands still.
        """
        for _ in range(TRIES):
            stamp = self._stamp()
            now = self._now(stamp)
            try:
                answer = question(now)
            except (SpectmError, OSError, KeyError, ValueError) as error:
                if self._stamp() != stamp:
                    continue
                if isinstance(error, SpectmError):
                    raise type(error)(self._without_paths(str(error))) from error
                raise
            if self._stamp() == stamp:
                return answer
        raise BusyError(f"wanted {self.name} to stand still, found it being written. Ask again in a second.")

    def stations(self, now: Snapshot) -> list[Station]:
        """Places that have a name."""
        if self._given is not None:
            return self._given
        return stations_of(self.labels) if self.labels is not None else usual_stations(now.grid)

    def _now(self, stamp: Stamp) -> Snapshot:
        """What is open, or is opened anew because it was changed."""
        with self._lock:
            if self._opened[0] != stamp:
                try:
                    self._opened = stamp, Snapshot(open_store(self.folder))
                except SpectmError as error:
                    raise BusyError(
                        f"wanted to read {self.name}, found it half written or moved away. Ask again in a "
                        "minute; if that does not help, its keeper has to predict again."
                    ) from error
            return self._opened[1]

    def _without_paths(self, text: str) -> str:
        """What went wrong, without where things lie on this machine."""
        folder = self.folder.resolve()
        for path in (self._opened[1].store.cube, folder, self.folder, folder.parent):
            text = text.replace(str(path), path.name if path == self._opened[1].store.cube else self.name)
        return text

    def _stamp(self) -> Stamp:
        """Changes whenever the marks of periods do: both files are replaced then."""
        found = []
        for path in (self.folder / RECORD, self.folder / MAPS / "zarr.json"):
            try:
                known = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((known.st_mtime_ns, known.st_size, known.st_ino))
        return tuple(found)


def find_areas(words: Iterable[str], **given: Any) -> dict[str, Area]:
    """Areas by their names, of folders as they are typed: ``DIR`` or ``NAME=DIR``.

    A folder may be that of predictions, or hold them as ``predictions``, as the demo's does.

    Parameters
    ----------
    words : iterable of str
    given
        As `Area` takes them.

    Raises
    ------
    StoreError
        If a folder holds no predictions, or two have one name.
    """
    areas: dict[str, Area] = {}
    for word in words:
        name, _, path = word.rpartition("=") if not Path(word).exists() else ("", "", word)
        folder = Path(path)
        if not (folder / RECORD).is_file() and (folder / "predictions" / RECORD).is_file():
            folder, name = folder / "predictions", name or folder.resolve().name
        name = _plain(name or folder.resolve().name)
        if name in areas:
            raise StoreError(f"wanted areas of different names, found {name!r} twice. Give NAME={path}.")
        areas[name] = Area(name, folder, **given)
    return areas


def _plain(name: str) -> str:
    """A name that can stand in an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "area"
