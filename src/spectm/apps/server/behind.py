"""What lies behind an estimate: the spectrum of the cell, and what the model made of it."""

import math
from importlib.util import find_spec
from threading import BoundedSemaphore

import numpy as np

from spectm.apps.behind import model_behind
from spectm.apps.cells import CubeCells, cell_patches
from spectm.apps.history import cell_in
from spectm.apps.places import Station
from spectm.apps.server.answers import ExplanationAnswer, ExplanationPart, SpectrumAnswer
from spectm.apps.server.areas import Snapshot
from spectm.apps.server.asking import position_of
from spectm.apps.spectra import spectrum_at
from spectm.errors import BusyError, StoreError
from spectm.training.forecaster import Forecaster

__all__ = ["can_explain", "explanation_answer", "spectrum_answer"]

PATIENCE = 10.0  # seconds
_EXPLAINING = BoundedSemaphore(1)  # one takes a core for seconds


def can_explain(now: Snapshot) -> bool:
    """Whether cube, model and captum are there."""
    return now.store.cube.exists() and find_spec("captum") is not None


def spectrum_answer(now: Snapshot, place: Station, period: str) -> SpectrumAnswer:
    """Reflectance of the cell that a place lies in.

    Raises
    ------
    StoreError, CubeError, CheckpointError
        If nothing was seen there, or cube or model are not where they were.
    """
    moment = now.moment(position_of(now, period), 0.0)
    found = spectrum_at(moment, place, model=_model(now))
    return SpectrumAnswer(
        wavelength=found.wavelength.tolist(),
        Rrs=[_number(one) for one in found.Rrs],
        inferred=[_number(one) for one in found.inferred],
        windows=found.windows,
        simulated=found.simulated,
    )


def explanation_answer(now: Snapshot, place: Station, period: str, horizon: float) -> ExplanationAnswer:
    """The steps from the laboratory's average to an estimate.

    Raises
    ------
    BusyError
        If another is being made.
    StoreError, CubeError, CheckpointError
        If nothing was seen there, or cube or model are not where they were.
    """
    row, column = cell_in(now.store, place)
    moment = now.moment(position_of(now, period), horizon)
    if not moment.seen[row, column]:
        raise StoreError(
            f"wanted an estimate at {place.latitude:.4f}, {place.longitude:.4f} in {moment.period}, found "
            "none to explain: nothing was seen there. Choose another period or place."
        )
    return now.answers.get(
        ("explanation", row, column, moment.period.start, horizon),
        lambda: _explained(now, moment.period.start, row, column, horizon),
    )


def _explained(
    now: Snapshot, start: np.datetime64, row: int, column: int, horizon: float
) -> ExplanationAnswer:
    from spectm.evaluation.explanation import explain

    if not _EXPLAINING.acquire(timeout=PATIENCE):
        raise BusyError("wanted to explain an estimate, found others being explained. Ask again in a minute.")
    try:
        model, settings = _model(now), now.store.record["settings"]
        target = np.array(model.meta["wavelength_nm"]) if settings["resampled"] else None
        cells = CubeCells(now.store.cube, int(settings["size"]), target)
        starts = [period.start for period in cells.periods]
        if start not in starts:
            raise StoreError(f"wanted the period of {start} in {now.store.cube.name}, found none there.")
        found = explain(model, cell_patches(cells, starts.index(start), row, column), 0, lead_days=horizon)
    finally:
        _EXPLAINING.release()
    return ExplanationAnswer(
        start=10**found.start,
        estimate=10**found.mean,
        parts=[
            ExplanationPart(
                name=part.name,
                change_log10=part.change,
                spread_log10=_number(part.spread),
                about=part.about,
            )
            for part in found.parts
        ],
        text=(
            "From the laboratory's average to the estimate, step by step; a step of 0.3 doubles. An "
            "explanation says what the model used, not what is in the water."
        ),
    )


def _model(now: Snapshot) -> Forecaster:
    """The model of the store, read once."""
    return now.answers.get("model", lambda: model_behind(now.store))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
