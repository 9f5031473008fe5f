"""What is to be predicted, checked before anything is done: model, cube, periods, and what is there."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from spectm.apps.cells import CubeCells
from spectm.apps.columns import thresholds_of
from spectm.apps.record import RECORD, Origin, new_record
from spectm.apps.store import read_record
from spectm.apps.store_writer import MAPS
from spectm.apps.tiles import Source, model_of
from spectm.data.cube import period_records
from spectm.data.matchups import LEAD_DAYS
from spectm.data.origin import is_simulated
from spectm.errors import CheckpointError, StoreError
from spectm.spectral.resampling import resampling_record
from spectm.training.checkpoint import check_bands, read_checkpoint
from spectm.training.released import KIND, model_folder, released_names
from spectm.trust.thresholds import Profile

__all__ = ["HORIZONS", "Job", "chosen_periods", "identities", "plan"]

HORIZONS = (0.0, LEAD_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What is to be predicted, and where to: all checked, and nothing done yet.

    Parameters
    ----------
    out : Path
        Folder of the store.
    source : Source
        Model, cube and settings.
    cells : CubeCells
        The cube.
    chosen : tuple of int
        Periods, by their position among the complete ones.
    record : dict
        ``run.json``: of the store that is there, or a new one.
    """

    out: Path
    source: Source
    cells: CubeCells
    chosen: tuple[int, ...]
    record: dict[str, Any]


def plan(
    model: str | Path,
    cube: Path,
    out: Path,
    profiles: Sequence[Profile],
    *,
    periods: Sequence[str] = ("all",),
    size: int = 3,
    resample: bool = False,
    maps: bool = True,
) -> Job:
    """Check that model, cube and store belong together.

    Parameters
    ----------
    model : str or Path
        A released model's name, or a folder.
    cube : Path
        Folder of `spectm compose`.
    out : Path
        Folder of the store: a new one, or one made with the same.
    profiles : sequence of Profile
        Threshold profiles.
    periods : sequence of str
        "all", "latest", or days (year-month-day) that lie in the periods wanted.
    size : int
        Cells on a side of a window, odd.
    resample : bool
        Whether a cube of other bands may be interpolated to the model's.
    maps : bool
        Whether maps are wanted.

    Raises
    ------
    CheckpointError
        If there is no such model, it is no blend, or its bands are others.
    CubeError, PatchError
        If there is no cube, or one of surface reflectance, or the size is even.
    StoreError
        If another model, cube or setting made what is in the folder, or there is no such period.
    """
    folder, cube, out = model_folder(model), Path(cube), Path(out)
    found = read_checkpoint(folder)
    if found.kind != KIND:
        raise CheckpointError(
            f"wanted a {KIND!r} to predict a cube with, found a {found.kind!r} in {folder}. Train one with "
            "`spectm finetune`, without --head network."
        )
    plain = CubeCells(cube, size)
    wavelength = np.array(found.meta["wavelength_nm"])
    resampled = resample and not _same_bands(found.meta, plain, cube)
    if not resampled:
        check_bands(found.meta, plain.wavelength, where=cube)
    source = Source(
        cube=cube.resolve(),
        model=folder.resolve(),
        digest=hashlib.sha256((folder / "checkpoint.json").read_bytes()).hexdigest(),
        size=size,
        resampled=resampled,
        horizons=HORIZONS,
        thresholds=thresholds_of(profiles),
    )
    cells = CubeCells(cube, size, wavelength) if resampled else plain
    chosen = chosen_periods(cells, periods)
    settings = {
        "size": size,
        "horizons": HORIZONS,
        "thresholds": source.thresholds,
        "resampled": resampled,
    }
    record = new_record(
        _origin(model, source, cells, out), model_of(source).calibration, profiles, settings, maps=maps
    )
    return Job(out=out, source=source, cells=cells, chosen=chosen, record=_going_on(out, record, cells))


def chosen_periods(cells: CubeCells, periods: Sequence[str]) -> tuple[int, ...]:
    """Positions of the periods asked for, among the complete ones of a cube, increasing.

    Raises
    ------
    StoreError
        If the cube has no complete period, or none that holds one of the days.
    """
    known = cells.periods
    if not known:
        raise StoreError(f"wanted a complete period, found none in {cells.path}. Compose it first.")
    chosen: set[int] = set()
    for word in periods:
        if word == "all":
            chosen |= set(range(len(known)))
        elif word == "latest":
            chosen.add(len(known) - 1)
        else:
            chosen.add(_period_at(cells, word))
    return tuple(sorted(chosen))


def identities(path: Path, cells: CubeCells) -> dict[str, str]:
    """What tells whether a composite is the same, by the first day of its period: its granules and counts."""
    records = period_records(path)
    starts = [str(period.start) for period in cells.periods]
    return {start: _digest(records.get(start, {}))[:16] for start in starts}


def _period_at(cells: CubeCells, day: str) -> int:
    try:
        moment = np.datetime64(date.fromisoformat(day), "D")
    except ValueError as error:
        raise StoreError(f"wanted a day such as 2024-08-12, 'latest' or 'all', found {day!r}.") from error
    for i, period in enumerate(cells.periods):
        if period.start <= moment < period.end:
            return i
    raise StoreError(
        f"wanted a complete period that holds {day}, found {len(cells.periods)} from "
        f"{cells.periods[0].start} to {cells.periods[-1]} in {cells.path}. Compose that period first."
    )


def _same_bands(meta: Mapping[str, Any], cells: CubeCells, cube: Path) -> bool:
    try:
        check_bands(meta, cells.wavelength, where=cube)
    except CheckpointError:
        return False
    return True


def _origin(name: str | Path, source: Source, cells: CubeCells, out: Path) -> Origin:
    """Model and cube, as ``run.json`` names them."""
    model, attrs = model_of(source), cells.cube.attrs
    checkpoint = read_checkpoint(source.model)
    weights = source.model / checkpoint.meta["files"]["weights"]
    released = str(name) in released_names() and not Path(name).is_dir()
    card = f"spectm/released/{name}/card.md" if released else "card.md"
    described = {
        "name": str(name) if released else source.model.name,
        "folder": "" if released else _relative(source.model, out),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "checkpoint_sha256": source.digest,
        "card": card if (source.model / "card.md").is_file() else "",
        "written": checkpoint.meta["written"],
        "simulated": is_simulated(model.meta.get("provenance", {})),
        "provenance": model.meta.get("provenance", {}),
    }
    layout = cells.layout.to_dict()
    data = {
        "cube": _relative(source.cube, out),
        "title": attrs.get("title", ""),
        "source": attrs.get("source", ""),
        "simulated": cells.layout.simulated,
        "layout": layout,
        "layout_sha256": _digest(layout),
    }
    if source.resampled:
        bands = cells.known_bands, cells.wavelength
        data["resampling"] = resampling_record(*bands, source=str(data["title"] or data["cube"]))
    return Origin(model=described, data=data)


def _going_on(out: Path, record: dict[str, Any], cells: CubeCells) -> dict[str, Any]:
    """The record of the store that is there, if the same made it; else the new one."""
    if not (out / RECORD).is_file():
        if (out / MAPS).exists():
            raise StoreError(
                f"wanted {RECORD} beside {MAPS}, found none in {out}: half a store. Predict into another "
                "folder, or remove this one."
            )
        if out.exists() and not out.is_dir():
            raise StoreError(f"wanted a folder to write, found a file at {out}. Give another name.")
        return record
    known = read_record(out)
    for name, wanted, found in _compared(record, known):
        if wanted != found:
            raise StoreError(
                f"wanted predictions with {name} {_short(wanted)}, found {_short(found)} in {out}. Give what "
                "they were made with, or another folder."
            )
    moved = record["data"]["cube"] != known["data"]["cube"]
    if moved and (other := _other_composites(known, identities(cells.path, cells))):
        raise StoreError(
            f"wanted predictions of the cube {record['data']['cube']}, found those of another one, "
            f"{known['data']['cube']}, in {out}: {other} was composed of other granules. Predict into "
            "another folder."
        )
    places = {"model": record["model"], "data": record["data"]}  # the same, perhaps in another place
    return known | places | {"spectm_version": record["spectm_version"]}


def _compared(record: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What has to be the same, by its name in messages: wanted and found."""
    for part, key, name in (
        ("model", "name", "the model"),
        ("model", "checkpoint_sha256", "a model whose checkpoint begins"),
        ("data", "simulated", "simulated data"),
        ("data", "layout", "the cube"),
        ("settings", "size", "windows of size"),
        ("settings", "resampled", "resampling"),
        ("settings", "horizons", "the horizons"),
    ):
        wanted, found = (one.get(part, {}).get(key) for one in (record, known))
        if key == "layout" and wanted != found:
            yield from _different(wanted or {}, found or {})
        yield name, wanted, found
    wanted, found = ([one["name"] for one in each["profiles"]] for each in (record, known))
    yield "the profiles", wanted, found
    yield "profiles as they are today,", record["profiles"], known["profiles"]


def _different(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in wanted:
        yield f"a cube of {key}", wanted[key], found.get(key)


def _other_composites(known: Mapping[str, Any], now: Mapping[str, str]) -> str:
    """The first period of a store whose composite is another one now; empty where there is none."""
    for start, record in known["periods"].items():
        if record.get("made_from", {}).get(start) != now.get(start):
            return start
    return ""


def _relative(path: Path, out: Path) -> str:
    """A path that stays right when both folders are moved together."""
    try:
        return os.path.relpath(path, out.resolve())
    except ValueError:  # another drive
        return str(path)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _short(value: object) -> str:
    """A setting in at most a line."""
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
