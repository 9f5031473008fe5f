"""The prediction store, as everything that people see reads it: maps, points, and where they come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spectm.apps.fields import reasons_of
from spectm.apps.record import RECORD
from spectm.apps.store_writer import FORMAT, FORMAT_VERSION, MAPS
from spectm.errors import StoreError
from spectm.trust.calibration import Calibration
from spectm.trust.estimate import Estimate
from spectm.trust.thresholds import Profile, Threshold

__all__ = ["POINTS", "Store", "check_format", "open_store", "read_record", "task_of"]

FloatArray = npt.NDArray[np.floating[Any]]
When = str | np.datetime64 | int

POINTS = "points.csv"


def task_of(horizon: float) -> str:
    """Name of the task, and so of the calibration, that a horizon (days) is answered by."""
    return "ahead" if horizon > 0 else "current"


@dataclass(frozen=True, eq=False)
class Store:
    """Predictions of some periods.

    Parameters
    ----------
    folder : Path
        Where they are.
    record : dict
        ``run.json``: model, data, settings, versions; see ``docs/formats.md``.
    maps : Dataset or None
        Whole periods, read when they are used; None where only points were asked for.
    """

    folder: Path
    record: dict[str, Any]
    maps: xr.Dataset | None

    @property
    def dataset(self) -> xr.Dataset:
        """Maps of the whole periods, in order of time, read when they are used.

        Raises
        ------
        StoreError
            If only points were asked for.
        """
        if self.maps is None:
            raise StoreError(
                f"wanted maps, found points only in {self.folder}. Predict without --only-points."
            )
        return self.maps

    @cached_property
    def points(self) -> pd.DataFrame | None:
        """``points.csv`` with numbers as numbers and times as text; None where no points were asked for."""
        path = self.folder / POINTS
        if not path.is_file():
            return None
        text = dict.fromkeys(("flagged", "reasons", "reason", "cell", "made_with", "about"), str)
        table = pd.read_csv(path, dtype=text, keep_default_na=True)
        kept = [name for name in text if name in table]
        return table.fillna(dict.fromkeys(kept, ""))

    @cached_property
    def profiles(self) -> tuple[Profile, ...]:
        """Threshold profiles that were asked for, as they were then."""
        return tuple(
            Profile(**{**one, "thresholds": tuple(Threshold(**threshold) for threshold in one["thresholds"])})
            for one in self.record["profiles"]
        )

    @property
    def simulated(self) -> bool:
        """Whether the cube or the model was simulated."""
        return bool(self.record["simulated"])

    @cached_property
    def calibration(self) -> Mapping[str, Calibration]:
        """By task, "current" and "ahead"."""
        return {task: Calibration.from_dict(one) for task, one in self.record["calibration"].items()}

    @property
    def horizons(self) -> tuple[float, ...]:
        """Days ahead."""
        return tuple(self.record["settings"]["horizons"])

    @property
    def cube(self) -> Path:
        """The cube that was predicted, for spectra; it may have been moved since."""
        return (self.folder / self.record["data"]["cube"]).resolve()

    def position(self, time: When = "latest") -> int:
        """Which of the whole periods holds a moment (UTC), or is the latest; a number is one already.

        Raises
        ------
        StoreError
            If none does.
        """
        bounds = self.dataset["time_bnds"].values
        if isinstance(time, int):
            return range(len(bounds))[time]
        if isinstance(time, str) and time == "latest":
            return len(bounds) - 1
        moment = np.datetime64(time).astype("datetime64[ns]")
        found = np.flatnonzero((bounds[:, 0] <= moment) & (moment < bounds[:, 1]))
        if not found.size:
            days = [str(moment)[:10] for moment in (bounds[0, 0], bounds[-1, 1] - np.timedelta64(1, "D"))]
            raise StoreError(
                f"wanted a whole period that holds {time}, found {len(bounds)} from {days[0]} to {days[1]} "
                f"in {self.folder}. Predict that period too."
            )
        return int(found[0])

    def at(self, time: When = "latest", horizon: float | None = None) -> xr.Dataset:
        """Maps of one period; of one horizon (days) where it is given.

        Raises
        ------
        StoreError
            If there is no such period or horizon.
        """
        maps = self.dataset.isel(time=self.position(time))
        return maps if horizon is None else maps.sel(horizon=self._horizon(horizon))

    def estimate(self, time: When = "latest", horizon: float = 0.0) -> Estimate:
        """Distributions of one period and horizon, as maps (lat, lon): any question can be asked of them."""
        maps = self.at(time, horizon)
        mean, spread = (maps[name].values.astype(np.float64) for name in ("log10_mean", "log10_spread"))
        return Estimate(
            mean=mean,
            spread=spread,
            calibration=self.calibration[task_of(horizon)],
            least=self.record["settings"]["detection_limit"],
        )

    def exceedance(self, threshold: float, time: When = "latest", horizon: float = 0.0) -> xr.DataArray:
        """Probability to lie above any threshold (ug/L), (lat, lon).

        Raises
        ------
        StoreError
            If there is no such period or horizon, or the threshold is not above zero.
        """
        if not threshold > 0:
            raise StoreError(f"wanted a threshold above 0 ug/L, found {threshold:g}. Try 1.")
        return self._map(self.estimate(time, horizon).exceedance(threshold), f"above {threshold:g} ug/L")

    def interval(
        self, level: float = 0.9, time: When = "latest", horizon: float = 0.0
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Ends, ug/L, of the interval that holds the concentration with probability `level`, (lat, lon).

        Raises
        ------
        StoreError
            If there is no such period or horizon, or the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise StoreError(f"wanted a level between 0 and 1, found {level:g}. Try 0.9.")
        low, high = self.estimate(time, horizon).interval(level)
        return self._map(low, f"lower end, {level:g}"), self._map(high, f"upper end, {level:g}")

    def reasons(self, bits: int) -> tuple[str, ...]:
        """Names of the reasons in a value of ``applicability``, by the file's own table."""
        attrs = self.dataset["applicability"].attrs
        names = (name.replace("_", " ") for name in attrs["flag_meanings"].split())
        return reasons_of(bits, dict(zip(names, map(int, attrs["flag_masks"]), strict=True)))

    def _horizon(self, horizon: float) -> float:
        if horizon not in self.horizons:
            raise StoreError(
                f"wanted one of the horizons {', '.join(f'{one:g}' for one in self.horizons)} days, found "
                f"{horizon:g}. Other days ahead are not in {self.folder}."
            )
        return horizon

    def _map(self, values: FloatArray, name: str) -> xr.DataArray:
        maps = self.dataset
        return xr.DataArray(values, {"lat": maps["lat"], "lon": maps["lon"]}, ("lat", "lon"), name=name)


def open_store(folder: str | Path) -> Store:
    """Predictions that `spectm predict` wrote, or is writing: what is whole of them.

    Parameters
    ----------
    folder : str or Path
        ``--out`` of the command.

    Raises
    ------
    StoreError
        If there is no store, it is half written, damaged, or of a later format.
    """
    folder = Path(folder)
    record = read_record(folder)
    maps = _open_maps(folder) if record["maps"] else None
    if maps is None and not (folder / POINTS).is_file():
        raise StoreError(
            f"wanted maps or {POINTS}, found neither in {folder}: the run was stopped. Give the same command "
            "again; it goes on."
        )
    if maps is not None and not maps.sizes["time"]:
        raise StoreError(
            f"wanted at least one whole period, found none in {folder}: the run is not that far, or was "
            "stopped. Wait, or give the same command again; it goes on."
        )
    return Store(folder, record, maps)


def read_record(folder: Path) -> dict[str, Any]:
    """``run.json`` of a store.

    Raises
    ------
    StoreError
        If there is none, it is damaged, or of a later format.
    """
    path = folder / RECORD
    if not path.is_file():
        found = "a folder without it" if folder.is_dir() else "a file" if folder.exists() else "nothing"
        raise StoreError(
            f"wanted a folder of predictions with {RECORD}, found {found} at {folder}. Give the folder that "
            "`spectm predict --cube` wrote."
        )
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found_format, version = record["format"], record["format_version"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"wanted the record of a run, could not read {path}: {error!r}. Predict into another folder."
        ) from error
    check_format(found_format, version, path)
    return record


def check_format(found_format: object, version: object, path: Path) -> None:
    """Refuse another format, or a later version of this one."""
    if found_format != FORMAT or not isinstance(version, int):
        raise StoreError(f"wanted predictions of spectm ({FORMAT}), found {found_format!r} in {path}.")
    if version > FORMAT_VERSION:
        raise StoreError(
            f"wanted format version {FORMAT_VERSION} or older, found {version} in {path}. Use a newer spectm."
        )


def _open_maps(folder: Path) -> xr.Dataset:
    """Whole periods of the maps."""
    path = folder / MAPS
    if not (path / "zarr.json").is_file():
        raise StoreError(
            f"wanted the maps {path}, found none: the run was stopped, or they were moved away. Give the "
            "same command again; it goes on."
        )
    try:
        maps = xr.open_zarr(path, chunks=None, consolidated=True, decode_timedelta=False)
        check_format(maps.attrs.get("format"), maps.attrs.get("format_version"), path)
        starts = maps["time_bnds"].values[:, 0]
        whole = np.array([str(day)[:10] in maps.attrs["periods"] for day in starts], dtype=np.bool_)
    except (OSError, KeyError, IndexError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"wanted whole maps, could not read {path}: {error!r}. Predict into another folder."
        ) from error
    return maps.isel(time=np.flatnonzero(whole))
