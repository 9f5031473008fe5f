"""Windows around laboratory samples: the overpass of each sample, or the reason why there is none."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm import __version__
from spectm.data.headers import Header
from spectm.data.labels import Labels, station_positions, surface_samples
from spectm.data.nearby import CV_NM, Place
from spectm.data.origin import is_simulated, origin_mark, same_origin
from spectm.data.overpasses import (
    NO_GRANULE,
    NO_POSITION,
    NO_TIME,
    REASONS,
    Look,
    Scene,
    WindowConfig,
    periods_of,
    swath,
)
from spectm.data.patch_file import writing_patches
from spectm.data.stock import check_flags
from spectm.errors import FlagError, PatchError, SpectmError
from spectm.files import replacing

__all__ = [
    "MATCHUP_COLUMNS",
    "StationMatches",
    "match_cube",
    "match_granules",
    "write_matchups",
    "write_station_patches",
]

Progress = Callable[[int, int, str], None]

# Bailey and Werdell (2006) use 3 h at sea; 48.5 h is what `spectm.data.matchups` pairs within.
MAX_HOURS = 48.5
HOUR = np.timedelta64(1, "h")
# A granule ends where the next begins, so a place at the seam is seen in both within seconds; the next orbit
# comes 98 minutes later.
ONE_OVERPASS = np.timedelta64(600, "s")
COLUMNS = ("time", "latitude", "longitude", "station", "granule", "n_valid", "km_apart")
# fmt: off
MATCHUP_COLUMNS = (
    "station", "sample_time", "time_known", "date", "latitude", "longitude", "microcystin",
    "below_detection", "overpass_time", "hours_apart", "km_apart", "granule", "n_valid", "cv", "reason",
    "detail", "file", "line",
)
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class StationMatches:
    """What was found around the samples of a record.

    Parameters
    ----------
    rows : DataFrame
        One row for each surface sample, by time and station: the columns `MATCHUP_COLUMNS`. Either
        ``reason`` is empty, or all that tells of the overpass is.
    looks : list of Look
        Windows that can be used, by time and station, one for each station and overpass, whether a sample
        belongs to it or not. Without `every` only those near samples, and without their reflectance.
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    config : WindowConfig
        Which pixels counted.
    source : str
        Where the reflectance comes from.
    bad : dict of str to str
        Granule that could not be read -> why. Nothing of it is used.
    simulated : bool
        Whether reflectance and record were.
    """

    rows: pd.DataFrame
    looks: list[Look]
    wavelength: npt.NDArray[np.float64]
    config: WindowConfig
    source: str
    bad: dict[str, str]
    simulated: bool = False

    @property
    def reasons(self) -> dict[str, int]:
        """Samples without an overpass, by reason, in the order in which reasons are looked for."""
        counts = self.rows["reason"].value_counts()
        return {reason: int(counts[reason]) for reason in REASONS if reason in counts}


def match_granules(
    headers: Sequence[Header],
    labels: Labels,
    *,
    max_hours: float = MAX_HOURS,
    config: WindowConfig | None = None,
    every: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> StationMatches:
    """Find for each surface sample the granule nearest in time whose window can be used.

    Stations lie where the median of all their positions is, since single ones are mistyped.

    Parameters
    ----------
    headers : sequence of Header
        Level-2 granules of one band list, as `spectm.data.compose.take_stock` gives them.
    labels : Labels
        A laboratory record.
    max_hours : float
        Hours between sample and overpass; the earlier of two equally near overpasses is taken.
    config : WindowConfig, optional
        Which pixels count, and how many are wanted.
    every : bool
        Look at all stations in all granules and keep the reflectance, for `write_station_patches`.
    progress : callable
        Given the granules done, all granules, and the name of the next.

    Raises
    ------
    PatchError
        If there is no granule or no sample, or a granule is a map.
    FlagError
        If the granules do not know a flag.
    OriginError
        If some of granules and record are simulated and others are not.
    """
    if not headers:
        raise PatchError("wanted level-2 granules, found none that can be used. Fetch some first.")
    config = config or WindowConfig()
    scenes = [swath(header) for header in headers]
    check_flags(headers, config.flags)
    simulated = same_origin(
        [
            ("the laboratory's record", labels.simulated),
            *((header.path.name, is_simulated(header.attrs)) for header in headers),
        ]
    )
    versions = sorted({str(header.attrs.get("processing_version", "unknown")) for header in headers})
    return _matches(
        scenes,
        labels,
        headers[0].wavelength,
        f"{'simulated' if simulated else 'NASA'} PACE OCI {headers[0].product}, version "
        f"{', '.join(versions)}, pixels of the swath",
        simulated,
        max_hours,
        config,
        every,
        progress,
    )


def match_cube(
    path: Path,
    labels: Labels,
    *,
    max_hours: float = MAX_HOURS,
    config: WindowConfig | None = None,
    every: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> StationMatches:
    """Find for each surface sample the period of a cube nearest in time whose window can be used.

    As `match_granules`. The time of a window is the mean time of the pixels in it; flags were applied when
    the cube was composed.

    Raises
    ------
    PatchError
        If the cube holds surface reflectance, or there is no sample.
    CubeError
        If there is no cube.
    """
    layout, scenes = periods_of(path)
    simulated = same_origin([(path.name, layout.simulated), ("the laboratory's record", labels.simulated)])
    return _matches(
        scenes,
        labels,
        np.array(layout.wavelength),
        f"{path.name}: composites of {'simulated' if simulated else 'NASA'} PACE OCI {layout.product} over "
        f"{layout.days} days",
        simulated,
        max_hours,
        replace(config or WindowConfig(), flags=layout.flags),
        every,
        progress,
    )


def write_matchups(matches: StationMatches, path: Path) -> None:
    """Write the rows as CSV, see ``docs/formats.md``."""
    rows = matches.rows.assign(**origin_mark(matches.simulated))
    for name in ("sample_time", "overpass_time"):
        rows[name] = rows[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    with replacing(path) as unfinished:
        rows.to_csv(unfinished, index=False, float_format="%.6g")


def write_station_patches(
    matches: StationMatches, path: Path, *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write every usable window as a station file, the layout that `spectm.data.patches.read_patches` reads.

    Parameters
    ----------
    matches : StationMatches
        Found with `every`.
    path : Path
        The file; an older one is replaced once the new one is complete.
    provenance : mapping, optional
        More global attributes, text and numbers.

    Raises
    ------
    PatchError
        If there is no window to write.
    """
    looks = [(look, look.Rrs) for look in matches.looks if look.Rrs is not None]
    if not looks:
        raise PatchError(
            f"wanted windows around stations to write to {path}, found none that can be used. The column "
            "detail of the table says why; fewer --min-valid, other --flags or more --max-km find more."
        )
    size = matches.config.size
    settings = json.dumps(asdict(matches.config))
    attrs = {
        "title": f"Reflectance around stations, {size} x {size} pixels",
        "source": matches.source,
        **origin_mark(matches.simulated),
        "spectm_version": __version__,
        "settings": settings,
        **(provenance or {}),
    }
    shape = (len(looks), len(matches.wavelength), size, size)
    with writing_patches(
        path, shape, matches.wavelength, columns=COLUMNS, attrs=attrs, time_name="overpass, UTC"
    ) as writer:
        for look, Rrs in looks:
            columns = {
                "time": look.time,
                "latitude": look.place.latitude,
                "longitude": look.place.longitude,
                "station": look.place.station,
                "granule": look.granule,
                "n_valid": look.n_valid,
                "km_apart": look.km_apart,
            }
            writer.append(Rrs[None], {name: np.array([value]) for name, value in columns.items()})


def _matches(
    scenes: Sequence[Scene],
    labels: Labels,
    wavelength: npt.NDArray[np.float64],
    source: str,
    simulated: bool,
    max_hours: float,
    config: WindowConfig,
    every: bool,
    progress: Progress,
) -> StationMatches:
    """Look at the stations in every scene, then choose for every sample."""
    _check(config, max_hours, wavelength)
    samples = surface_samples(labels)
    if samples.empty:
        raise PatchError(
            f"wanted surface samples, found none among {len(labels.table)} rows of the record. Is the "
            "category 'surface' and the depth below 2 m?"
        )
    places = _places(labels, samples)
    times = {
        station: of_station["time"].dropna().to_numpy(dtype="datetime64[ns]")
        for station, of_station in samples.groupby("station")
    }
    looks: dict[str, list[Look]] = {station: [] for station in places}
    seen, bad = [], {}
    for number, scene in enumerate(scenes):
        progress(number, len(scenes), scene.name)
        wanted = [
            place
            for station, place in places.items()
            if every or _hours_from(scene, times[station]).min(initial=np.inf) <= max_hours
        ]
        try:
            found = scene.look(wanted, config) if wanted else []
        except FlagError:  # a name that was typed wrong is wrong for all
            raise
        except (SpectmError, OSError) as error:
            bad[scene.name] = str(error)
            continue
        seen.append(scene)
        for look in found:
            looks[look.place.station].append(look if every else replace(look, Rrs=None))
    progress(len(scenes), len(scenes), "")
    best = {station: _one_per_overpass(of_station) for station, of_station in looks.items()}
    rows = [_row(sample, places, best, seen, max_hours) for sample in samples.to_dict("records")]
    usable = [look for of_station in best.values() for look in of_station if not look.reason]
    usable.sort(key=lambda look: (look.time, look.place.station))
    return StationMatches(_table(rows), usable, wavelength, config, source, bad, simulated)


def _check(config: WindowConfig, max_hours: float, wavelength: npt.NDArray[np.float64]) -> None:
    if not max_hours >= 0:
        raise PatchError(f"wanted hours of 0 or more, found {max_hours}. Try {MAX_HOURS}.")
    if config.max_cv is not None and not np.any((wavelength >= CV_NM[0]) & (wavelength <= CV_NM[1])):
        raise PatchError(
            f"wanted bands between {CV_NM[0]:g} and {CV_NM[1]:g} nm for a limit to the coefficient of "
            f"variation, found bands from {wavelength[0]:g} to {wavelength[-1]:g} nm. Leave --max-cv out."
        )


def _places(labels: Labels, samples: pd.DataFrame) -> dict[str, Place]:
    """Where the stations of the samples lie; those that no row gives a position for are not there."""
    positions = station_positions(labels).dropna(subset=["latitude", "longitude"])
    positions = positions[positions.index.isin(samples["station"])]
    return {
        str(station): Place(str(station), float(latitude), float(longitude))
        for station, latitude, longitude in positions[["latitude", "longitude"]].itertuples()
    }


def _hours_from(scene: Scene, times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    """Hours from each time to the nearest moment of a scene."""
    return np.maximum(np.maximum((scene.start - times) / HOUR, (times - scene.end) / HOUR), 0.0)


def _one_per_overpass(looks: Sequence[Look]) -> list[Look]:
    """The best of looks from neighbouring granules of one overpass, in the order of time."""
    best: list[Look] = []
    for look in sorted(looks, key=lambda look: (look.time, look.granule)):
        if not best or look.time - best[-1].time > ONE_OVERPASS:
            best.append(look)
        elif _worth(look) > _worth(best[-1]):
            best[-1] = look
    return best


def _worth(look: Look) -> tuple[int, int, float]:
    """Order of looks from the least to the most useful."""
    stage = len(REASONS) if not look.reason else REASONS.index(look.reason)
    return stage, look.n_valid, -look.km_apart if np.isfinite(look.km_apart) else -np.inf


def _row(
    sample: Mapping[Any, Any],
    places: Mapping[str, Place],
    looks: Mapping[str, Sequence[Look]],
    scenes: Sequence[Scene],
    max_hours: float,
) -> dict[str, Any]:
    """Row of one sample."""
    place = places.get(sample["station"])
    row = {name: sample[name] for name in ("station", "time_known", "date", "microcystin", "file", "line")}
    row["sample_time"], row["below_detection"] = sample["time"], sample["microcystin_below_detection"]
    row["latitude"], row["longitude"] = (place.latitude, place.longitude) if place else (np.nan, np.nan)
    if pd.isna(sample["time"]):
        return row | {"reason": NO_TIME, "detail": "the record gives none"}
    if place is None:
        return row | {"reason": NO_POSITION, "detail": "no row of the station gives one"}
    time = sample["time"].tz_convert(None).to_datetime64()
    around = sorted(looks[place.station], key=lambda look: (abs(time - look.time), look.time))
    near = [look for look in around if abs((time - look.time) / HOUR) <= max_hours]
    if not near:
        return row | {"reason": NO_GRANULE, "detail": _nearest(time, around[:1], scenes, max_hours)}
    look = next((look for look in near if not look.reason), None)
    if look is None:
        look = max(near, key=lambda look: REASONS.index(look.reason))  # of equals the first, so the nearest
        apart = f"{look.granule}, {abs((time - look.time) / HOUR):.1f} h apart"
        return row | {"reason": look.reason, "detail": f"{look.detail}; {apart}"}
    return row | {
        "overpass_time": look.time,
        "hours_apart": (time - look.time) / HOUR,
        "km_apart": look.km_apart,
        "granule": look.granule,
        "n_valid": look.n_valid,
        "cv": look.cv,
        "reason": "",
        "detail": "",
    }


def _nearest(time: np.datetime64, nearest: Sequence[Look], scenes: Sequence[Scene], max_hours: float) -> str:
    """The granule nearest in time to a sample, in words: one that was looked at, or one too far for that."""
    far = [(float(_hours_from(scene, np.array([time]))[0]), scene.name) for scene in scenes]
    apart = [(float(abs((time - look.time) / HOUR)), look.granule) for look in nearest]
    apart += [each for each in far if each[0] > max_hours]
    if not apart:
        return "no granule could be read"
    hours, name = min(apart)
    return f"the nearest is {hours:.1f} h apart: {name}"


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table whose columns have one type, also where no sample has an overpass."""
    blank = {"overpass_time": pd.NaT, "granule": "", "n_valid": pd.NA}
    missing = dict.fromkeys(MATCHUP_COLUMNS, np.nan) | blank
    table = pd.DataFrame([missing | dict(row) for row in rows], columns=list(MATCHUP_COLUMNS))
    for name in ("sample_time", "overpass_time"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table.astype({"n_valid": "Int64", "microcystin": "float64", "cv": "float64"})
