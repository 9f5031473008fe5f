"""What becomes of one model's estimates when they are calibrated in one way or another.

    python -m tools.calibrations PATCHES LABELS [PATCHES LABELS ...]

Each pair is a lake: station patches and the laboratory's record. Every row is predicted by `blend-plain`
without its date and what lies within 60 hours; each date is then given distributions that were calibrated
on the rows of the other dates of its lake, three days and more away. All ways start from the same means,
and all but MAPIE from the same spreads. The models behind the rows calibrated on have seen the date, as in
no score of `spectm evaluate`: what is compared here are ways, not models. Scores are over the dates of all
lakes. `crepes` and `MAPIE` are no dependencies of spectm; their lines are left out where they are not
installed. One table for each task, as Markdown.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from spectm.data.labels import read_labels
from spectm.data.patches import read_patches
from spectm.evaluation.blends import BLENDS, BlendEstimator
from spectm.evaluation.calibrated import out_of_date
from spectm.evaluation.calibration_scores import (
    censored_crps,
    covered,
    excess,
    interval_score,
    mean_over_dates,
)
from spectm.evaluation.findings import bracketed
from spectm.evaluation.scores import Observations
from spectm.evaluation.study import headline_study
from spectm.training.blend import spectral_views
from spectm.training.settings import Settings
from spectm.trust.calibration import Calibration

FloatArray = npt.NDArray[np.floating[Any]]
GRID = np.linspace(-4.0, 4.0, 801)  # log10 ug/L
THRESHOLDS = (1.0, 8.0)
DAYS_APART = 3
WIDTH, SMOOTH, FAR = 0.4, 0.3, 0.02  # of "near means": log10, spreads, weight of rows of another mean


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Predicted rows: ``mean``, ``spread``, ``y`` (log10; the limit where ``below``), ``date``, ``lake``."""

    table: pd.DataFrame

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        return self.table[name].to_numpy()

    def z(self) -> FloatArray:
        """Observed minus predicted, in spreads."""
        return (self.y - self.mean) / self.spread

    def weight(self) -> FloatArray:
        """One for each date, shared by its rows."""
        return 1 / self.table.groupby("date")["y"].transform("size").to_numpy()

    def units(self) -> FloatArray:
        """`GRID` in spreads about the mean of each row, shape (n, grid)."""
        return (GRID - self.mean[:, None]) / self.spread[:, None]


Way = Callable[[Rows, Rows], FloatArray]
"""From rows to calibrate on and rows to tell of, to the distribution function of the latter on `GRID`."""


def kept(known: Rows, asked: Rows) -> FloatArray:
    """As spectm does."""
    found = Calibration.fit(known.y - known.mean, known.spread, known.below, known.date)
    return found.cdf(asked.units())


def spread_by_mean(known: Rows, asked: Rows) -> FloatArray:
    """As kept, in units of a spread that goes with the mean: errors are smaller where little is expected."""
    z = known.z()
    square = np.where(known.below, np.minimum(z, 0.0), z) ** 2
    usual = np.average(square, weights=known.weight())

    def factor(mean: FloatArray) -> FloatArray:
        weight = known.weight() * np.exp(-(((mean[:, None] - known.mean) / WIDTH) ** 2) / 2)
        return np.sqrt((weight @ square + usual) / (weight.sum(axis=1) + 1))  # one date more of all means

    spread = known.spread * factor(known.mean)
    found = Calibration.fit(known.y - known.mean, spread, known.below, known.date)
    return found.cdf(asked.units() / factor(asked.mean)[:, None])


def two_sided(known: Rows, asked: Rows) -> FloatArray:
    """Scores above and below the mean apart, half of the probability on either side."""
    z, weight = known.z(), known.weight()
    up = (z > 0) & ~known.below
    above, below = np.where(up, z, 0.0), np.where(up, 0.0, np.maximum(-z, 0.0))
    at = asked.units()
    rises = 1 - _beyond(above[up], weight[up], at) if up.any() else np.ones_like(at)
    return np.where(at >= 0, 0.5 + 0.5 * rises, 0.5 * _beyond(below[~up], weight[~up], -at, touching=True))


def near_means(known: Rows, asked: Rows) -> FloatArray:
    """Residuals of rows whose means are alike count most; there is no room for a date unlike those seen.

    Below detection truth has half of a normal distribution, one spread wide, below the limit.
    """
    z, at, found = known.z(), asked.units(), np.empty((asked.mean.size, GRID.size))
    for row, mean in enumerate(asked.mean):
        weight = known.weight() * (np.exp(-(((known.mean - mean) / WIDTH) ** 2) / 2) + FAR)
        distance = at[row][:, None] - z
        detected, hidden = ndtr(distance / SMOOTH), np.minimum(1.0, 2 * ndtr(distance))
        found[row] = np.where(known.below, hidden, detected) @ weight / weight.sum()
    return found


def crepes_system(known: Rows, asked: Rows) -> FloatArray:
    """Conformal predictive system of `crepes`, the middle of its band: rows alike, the limit is a value."""
    import crepes

    system = crepes.ConformalPredictiveSystem().fit(known.y - known.mean, sigmas=known.spread)
    steps = system.predict_cpds(asked.mean, sigmas=asked.spread)
    below = [np.searchsorted(np.sort(one), GRID, side="right") for one in steps]
    return np.stack([(k + 0.5) / (one.size + 1) for k, one in zip(below, steps, strict=True)])


def of_normal(known: Rows, asked: Rows) -> FloatArray:
    """Nothing is calibrated: a normal distribution, as the model says."""
    return ndtr(asked.units())


WAYS: dict[str, Way] = {
    "kept": kept,
    "uncalibrated normal": of_normal,
    "a spread that goes with the mean": spread_by_mean,
    "each side apart": two_sided,
    "residuals of near means": near_means,
    "crepes": crepes_system,
}


def mapie_intervals(known: Rows, asked: Rows, level: float) -> tuple[FloatArray, FloatArray]:
    """Intervals of `MAPIE` about given means: absolute residuals; rows count alike, the limit is a value."""
    from mapie.regression import SplitConformalRegressor

    model = SplitConformalRegressor(_Given(), confidence_level=level, prefit=True)
    model.conformalize(known.mean[:, None], known.y)
    _, ends = model.predict_interval(asked.mean[:, None])
    return ends[:, 0, 0], ends[:, 1, 0]


class _Given:
    """A fitted estimator that returns what it is given."""

    def __init__(self) -> None:
        self.is_fitted = True  # what MAPIE looks for

    def fit(self, given: FloatArray, _: FloatArray) -> "_Given":
        return self

    def predict(self, given: FloatArray) -> FloatArray:
        return given[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Distribution functions on `GRID`."""

    cdf: FloatArray

    def exceedance(self, threshold: float) -> FloatArray:
        place = float(np.interp(np.log10(threshold), GRID, np.arange(GRID.size)))
        left = min(int(place), GRID.size - 2)
        share = place - left
        return 1 - ((1 - share) * self.cdf[:, left] + share * self.cdf[:, left + 1])

    def quantile(self, q: float) -> FloatArray:
        return GRID[np.minimum((self.cdf < q).sum(axis=1), GRID.size - 1)]


def predicted(patches_file: Path, labels_file: Path, lake: int) -> pd.DataFrame:
    """Rows of both tasks, each predicted without its date."""
    patches = read_patches(patches_file)
    study = headline_study(patches, read_labels(labels_file), [], Settings(), ("current", "ahead"))
    views, parts = spectral_views(patches, indices=study.settings.indices.chosen()), []

    def make() -> BlendEstimator:
        return BlendEstimator(patches, views, BLENDS["blend-plain"], "season", study.record)

    for name, task in study.tasks.items():
        rows = np.arange(len(task.rows))
        mean, spread = out_of_date(make, study.current, task, rows, np.arange(len(study.current.rows)))
        columns = {"y": task.y, "below": task.below, "mean": mean, "spread": spread, "date": task.dates}
        parts.append(pd.DataFrame(columns).assign(task=name, lake=lake))
    found = pd.concat(parts, ignore_index=True)
    return found[np.isfinite(found["mean"])]


def by_date(rows: pd.DataFrame, *, years: str = "all") -> Iterator[tuple[Rows, Rows]]:
    """Each date of each lake: what to calibrate on, of all years, the same or others; and what to tell of."""
    day = pd.to_datetime(rows["date"])
    for (lake, date), own in rows.groupby(["lake", "date"], sort=True):
        far = (day - pd.Timestamp(date)).abs().dt.days >= DAYS_APART
        if years != "all":
            far &= (day.dt.year == pd.Timestamp(date).year) == (years == "same")
        yield Rows(rows[(rows["lake"] == lake) & far]), Rows(own)


def lines_of(rows: pd.DataFrame, *, years: str = "all") -> Iterator[tuple[str, ...]]:
    """Cells of each way, for the rows of one task."""
    pairs = list(by_date(rows, years=years))
    tested = Rows(pd.concat([asked.table for _, asked in pairs]))
    dates = np.char.add(np.char.add(tested.lake.astype(np.str_), " "), tested.date.astype(np.str_))
    observed = Observations(log10=tested.y, below_detection=tested.below.astype(bool), dates=dates)
    every, reference = np.ones_like(observed.below_detection), None
    for name, way in WAYS.items():
        if name == "crepes" and importlib.util.find_spec("crepes") is None:
            continue
        curves = _Curves(np.concatenate([way(*pair) for pair in pairs]))
        crps = censored_crps(observed, curves)
        reference = crps if reference is None else reference
        gap = mean_over_dates(observed, crps - reference, every)
        less = "" if name == "kept" else bracketed(gap.value, gap.low, gap.high, 3)
        above = [excess(observed, curves, threshold) for threshold in THRESHOLDS]
        too_low = [bracketed(found.value, found.low, found.high, 3) for found in above]
        ends = {
            level: tuple(curves.quantile((1 + side * level) / 2) for side in (-1, 1)) for level in (0.5, 0.9)
        }
        yield (name, *_of_intervals(observed, ends), f"{crps.mean():.3f}", less, *too_low)
    if importlib.util.find_spec("mapie") is not None:
        found = {level: [mapie_intervals(*pair, level) for pair in pairs] for level in (0.5, 0.9)}
        ends = {level: tuple(map(np.concatenate, zip(*parts, strict=True))) for level, parts in found.items()}
        yield ("MAPIE", *_of_intervals(observed, ends), *[""] * 4)


def _of_intervals(observed: Observations, ends: dict[float, tuple[FloatArray, ...]]) -> tuple[str, ...]:
    detected = ~observed.below_detection
    hit = {level: covered(observed, low, high) for level, (low, high) in ends.items()}
    score = interval_score(observed, *ends[0.9], 0.9).mean()
    shares = (hit[0.9].mean(), hit[0.9][detected].mean(), hit[0.5][detected].mean(), score)
    return tuple(f"{value:.2f}" for value in shares)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.calibrations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="PATCHES LABELS")
    parser.add_argument(
        "--years",
        choices=("all", "same", "other"),
        default="all",
        help="of a lake, that a date is calibrated on; other wants lakes of two seasons",
    )
    args = parser.parse_args(arguments)
    files = args.files
    if len(files) % 2:
        parser.error(f"wanted pairs of station patches and a laboratory record, found {len(files)} files")
    pairs = zip(files[::2], files[1::2], strict=True)
    rows = pd.concat([predicted(*pair, lake) for lake, pair in enumerate(pairs)], ignore_index=True)
    shares = ("90 % covers", "of detected rows", "50 % of detected rows", "Interval score at 90 %", "CRPS")
    above = (f"Frequency minus probability above {threshold:g} ug/L" for threshold in THRESHOLDS)
    heads = ("Calibrated by", *shares, "CRPS minus kept", *above)
    for task, own in rows.groupby("task", sort=False):
        dates = own.groupby("lake")["date"].nunique().sum()
        sys.stdout.write(f"\n{task}: {len(own)} rows of {dates} dates\n\n| {' | '.join(heads)} |\n")
        sys.stdout.write("|---" * len(heads) + "|\n")
        for cells in lines_of(own, years=args.years):
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()
    return 0


def _beyond(scores: FloatArray, weight: FloatArray, at: FloatArray, *, touching: bool = False) -> FloatArray:
    """Share of the weight whose score lies beyond each value; or at it, too."""
    order = scores.argsort(kind="stable")
    reached = np.concatenate([[0.0], weight[order].cumsum() / weight.sum()])
    return 1 - reached[np.searchsorted(scores[order], at, side="left" if touching else "right")]


if __name__ == "__main__":
    sys.exit(main())
