"""Moments whose every probability is chosen, and lines of a journal."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from spectm.apps.alerts.rules import Area, Asked, Rule
from spectm.apps.moment import Moment
from spectm.apps.places import Station
from spectm.apps.polygons import Polygon
from spectm.data.grid import Grid
from spectm.data.periods import Period
from spectm.trust.estimate import Estimate

GRID = Grid(west=10.0, north=52.0, resolution=0.1, n_rows=3, n_columns=4)
WHOLE = [[10.0, 51.7], [10.4, 51.7], [10.4, 52.0], [10.0, 52.0]]
REASONS = {1: "season", 2: "too dark"}


class Chosen:
    """A calibration by which the spread is the probability, and the 90 % interval is a factor of two."""

    def exceedance(self, mean: Any, spread: Any, threshold: float) -> Any:
        return spread

    def interval(self, mean: Any, spread: Any, level: float) -> Any:
        return mean - np.log10(2), mean + np.log10(2)


def moment(
    probability: Any,
    *,
    microcystin: Any = 5.0,
    flags: Any = 0,
    age: Any = 2.0,
    water: Any = True,
    first: str = "2024-08-04",
    horizon: float = 0.0,
) -> Moment:
    """Fields of three by four cells; NaN is not seen; `flags` are bits of `REASONS`."""
    above, value, bits, age, water = (
        np.array(np.broadcast_to(one, GRID.shape)) for one in (probability, microcystin, flags, age, water)
    )
    seen = np.isfinite(above)
    mean = np.where(seen, np.log10(value), np.nan)
    estimate = Estimate(mean=mean, spread=above.astype(float), calibration=Chosen(), least=0.1)
    fields = {
        "microcystin": 10**mean,
        "log10_mean": mean,
        "log10_spread": above.astype(float),
        "flagged": np.where(seen, bits > 0, 255),
        "applicability": bits,
        "pixel_age": np.where(seen, age, np.nan),
    }
    store = SimpleNamespace(
        record={
            "model": {"name": "made-up", "weights_sha256": "ab" * 32},
            "calibration": {"current": {"score": [1]}, "ahead": {"score": [2]}},
            "spectm_version": "0.1.0",
        },
        simulated=True,
        reasons=lambda found: tuple(name for bit, name in REASONS.items() if found & bit),
    )
    start = np.datetime64(first)
    found = Moment(
        store=store,  # type: ignore[arg-type]
        period=Period(start, start + 8),
        horizon=horizon,
        grid=GRID,
        maps=xr.Dataset({name: (("lat", "lon"), one) for name, one in fields.items()}),
        water=water,
    )
    found.__dict__["estimate"] = estimate  # it would be asked of the store
    return found


def rule(place: Station | list[list[float]] | None = None, **changes: Any) -> Rule:
    """A rule for the cell in the north-west, or for a polygon."""
    if isinstance(place, list):
        chosen: Station | Area = Area(name="bay", polygon=Polygon((np.array(place, dtype=float),)))
    else:
        chosen = place or Station(name="Pier", latitude=51.95, longitude=10.05)
    settings = {"name": "test", "asked": Asked(value=8.0), "probability": 0.5, "horizons": (0.0,)}
    return Rule(place=chosen, **{**settings, **changes})


def alert(number: int = 1, *, receivers: tuple[str, ...] = ("desk",), **changes: Any) -> dict[str, Any]:
    """A line of alerts.jsonl."""
    line = {
        "format": "spectm-alert/1",
        "id": f"{number:032x}",
        "time": "2024-08-21T06:00:00+00:00",
        "why": "Simulated: at Pier the probability is 62 %.",
        "rule": "test",
        "place": {"kind": "point", "name": "Pier", "latitude": 51.95, "longitude": 10.05},
        "period": {"first": "2024-08-04", "last": "2024-08-11"},
        "horizon": 0.0,
        "about": {"first": "2024-08-04", "last": "2024-08-11"},
        "threshold": {"value": 8.0, "unit": "ug/L", "profile": None, "name": None, "medium": None},
        "probability": 0.62,
        "fires_at": 0.5,
        "estimate": {"microcystin": 9.0, "low90": 4.5, "high90": 18.0},
        "highest": {"microcystin": 9.0, "low90": 4.5, "high90": 18.0},
        "coverage": {"water_cells": 1, "counted": 1, "share": 1.0, "oldest_pixels_days": 2.0},
        "flags": {"flagged": 0, "too_old": 0, "reasons": {}},
        "caveats": ["Simulated: no measurement."],
        "simulated": True,
        "model": {"name": "made-up", "weights_sha256": "ab" * 32},
        "predictions": "cd" * 16,
        "spectm_version": "0.1.0",
        "asked": "question",
        "receivers": list(receivers),
    }
    return line | changes
