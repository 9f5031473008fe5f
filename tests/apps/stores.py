"""Small stores of predictions whose every number is made up, in the layout of real ones."""

from pathlib import Path

import numpy as np

from spectm.apps.columns import thresholds_of
from spectm.apps.fields import fields_of
from spectm.apps.record import Origin, map_attributes, new_record, write_record
from spectm.apps.store_writer import (
    MAPS,
    MapLayout,
    create_maps,
    finish_period,
    periods_with_room,
    write_tile,
)
from spectm.data.context import DETECTION_LIMIT
from spectm.data.grid import Grid
from spectm.trust.applicability import REASONS, Flags
from spectm.trust.calibration import Calibration
from spectm.trust.estimate import Estimate
from spectm.trust.thresholds import profile

HORIZONS = (0.0, 8.0)


def made_up_calibration(width: float = 0.5, n_dates: int = 9) -> Calibration:
    """Scores as of normal errors of that many spreads."""
    rng = np.random.default_rng(0)
    residual = rng.normal(0, width, 4 * n_dates)
    dates = np.repeat(np.arange(n_dates), 4)
    return Calibration.fit(residual, np.ones(residual.size), np.zeros(residual.size, dtype=bool), dates)


def made_up_origin(*, simulated: bool = True, cube: str = "../cube.zarr") -> Origin:
    """A model and a cube that do not exist."""
    digest = "0123456789abcdef" * 4
    model = {
        "name": "made-up-2024",
        "weights_sha256": digest,
        "card": "card.md",
        "written": "2026-01-01T00:00:00+00:00",
        "simulated": simulated,
        "provenance": {"files": []},
    }
    data = {
        "cube": cube,
        "title": "Composites of simulated PACE OCI L2_AOP over 8 days",
        "source": "a simulated lake",
        "simulated": simulated,
        "layout": {},
        "layout_sha256": digest,
    }
    return Origin(model=model, data=data)


def make_store(
    folder: Path,
    *,
    n_periods: int = 3,
    shape: tuple[int, int] = (6, 8),
    first: str = "2024-08-04",
    unfinished: tuple[int, ...] = (),
    profiles: tuple[str, ...] = ("who-2020", "epa-2019"),
    simulated: bool = True,
    seed: int = 0,
    resolution: float = 0.0125,
    west: float = -83.5,
    north: float = 42.0,
) -> Path:
    """A store of maps: a bloom that grows from the west, land in the north-east corner, a few clouds.

    Parameters
    ----------
    folder : Path
        To make.
    n_periods, shape, first, resolution, west, north
        Periods of eight days, and cells.
    unfinished : tuple of int
        Numbers of periods whose tiles are written and which are not recorded, as after a kill.
    profiles, simulated, seed
        Threshold profiles that ship; the mark; of clouds and ages.
    """
    rng = np.random.default_rng(seed)
    chosen = [profile(name) for name in profiles]
    thresholds = thresholds_of(chosen)
    calibration = {"current": made_up_calibration(), "ahead": made_up_calibration(0.8)}
    grid = Grid(west=west, north=north, resolution=resolution, n_rows=shape[0], n_columns=shape[1])
    settings = {"size": 3, "horizons": list(HORIZONS), "thresholds": list(thresholds), "resampled": False}
    origin = made_up_origin(simulated=simulated)
    record = new_record(origin, calibration, chosen, settings, maps=True)
    layout = MapLayout(grid=grid, days=8, horizons=HORIZONS, thresholds=thresholds)
    periods = periods_with_room(np.datetime64(first), n_periods, 8)
    create_maps(folder / MAPS, layout, periods, map_attributes(record))
    row, column = np.mgrid[: shape[0], : shape[1]]
    land = (row < shape[0] // 3) & (column >= shape[1] - shape[1] // 3)
    for number, period in enumerate(periods):
        seen = ~land & (rng.random(shape) > 0.2)
        mean = 0.4 * number - 0.3 - 1.5 * column / shape[1] + 0.3 * np.sin(row)
        mean = np.where(seen, np.maximum(mean, np.log10(DETECTION_LIMIT)), np.nan).ravel()
        spread = np.where(seen, 0.3, np.nan).ravel()
        reasons = {name: np.zeros(mean.size, dtype=bool) for name in REASONS}
        reasons["season"][: 2 * shape[1]] = number == 0
        reasons["too dark"][-2:] = True
        reasons["new place"][:: shape[1]] = True
        flagged = reasons["season"] | reasons["too dark"]
        flags = Flags(flagged=flagged & seen.ravel(), reasons=reasons, distance={})
        estimates = [
            Estimate(
                mean=mean * share,
                spread=spread * wider,
                calibration=calibration[task],
                least=DETECTION_LIMIT,
            )
            for share, wider, task in ((1.0, 1.0, "current"), (0.5, 1.4, "ahead"))
        ]
        fields = {
            name: values.reshape(*values.shape[:-1], *shape)
            for name, values in fields_of(estimates, flags, thresholds).items()
        }
        fields["log10_alone"] = mean.reshape(shape).astype(np.float32)
        fields["pixel_age"] = np.where(seen, rng.uniform(1, 7, shape), np.nan).astype(np.float32)
        fields["n_observations"] = np.where(seen, rng.integers(1, 5, shape), 0).astype(np.int32)
        write_tile(folder / MAPS, number, grid.whole, fields)
        if number not in unfinished:
            done = {
                "end": str(period.end),
                "n_estimates": int(seen.sum()),
                "n_flagged": int(flags.flagged.sum()),
            }
            finish_period(folder / MAPS, period, done)
            record["periods"][str(period.start)] = done
    write_record(folder, record)
    return folder
