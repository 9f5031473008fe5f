"""Blends behind the interface of the baselines: several views of the spectrum, and earlier overpasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.data.context import Context, day_of_year
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.data.splits import Fold, excluded_by, row_times
from spectm.errors import BandNotFoundError
from spectm.evaluation.task import Task
from spectm.training.blend import Blend
from spectm.training.forecast import forecast, usual_at

__all__ = ["BLENDS", "BlendEstimator", "rows_clear_of", "targets_of"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

BLENDS: dict[str, tuple[str, ...]] = {
    "blend-bands": ("bands",),
    "blend-indices": ("indices",),
    "blend-plain": ("bands", "indices"),
}
"""Baselines without an encoder: the views of the spectrum that each reads."""


@dataclass(slots=True)
class BlendEstimator:
    """Today's departure from the climatology by a blend, averaged over ten days, carried to the target.

    It learns from rows of the task "current" whatever it is to predict: eight days ahead is what is left of
    today's departure.

    Parameters
    ----------
    patches : Patches
        All patches of the stations: the earlier overpasses of a row are among them.
    views : mapping
        `spectral_views` of these patches.
    names : tuple of str
        The views to use; one that the bands lack is left out.
    context : {"none", "season", "season+lab"}
        Without the season there is neither a prior nor a record of how departures fade: the overpass speaks
        for itself. With the laboratory the last value counts as one more departure.
    record : Record
        Climatology and memory.
    """

    patches: Patches
    views: Mapping[str, FloatArray]
    names: tuple[str, ...]
    context: Context
    record: Record
    blend_: Blend = field(init=False)

    def __post_init__(self) -> None:
        """Keep the views that there are."""
        wanted, self.names = self.names, tuple(name for name in self.names if name in self.views)
        if not self.names:
            raise BandNotFoundError(
                f"blend: wanted one of the views {', '.join(wanted)}, found {', '.join(self.views)} in "
                f"{self.patches.source}. Its bands support no index; leave this model out."
            )

    def fit(self, task: Task, train: npt.NDArray[Any]) -> Self:
        """Learn from rows of the task "current"."""
        if task.name != "current":
            raise ValueError(f"a blend learns from rows of the task current, not {task.name}")
        views = {name: self.views[name][task.rows["patch"].to_numpy()[train]] for name in self.names}
        self.blend_ = Blend(self.names, seasonal=self.context != "none")
        self.blend_.fit(views, task.y[train], task.climatology[train], task.dates[train])
        return self

    def predict(self, task: Task, rows: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 ug/L, each of shape (n_rows,)."""
        chosen = task.rows.iloc[rows]
        usual = usual_at(self.record.climatology, self.patches.time, self.patches.station)
        estimate = self.blend_.predict({name: self.views[name] for name in self.names}, usual)
        if self.context == "none":
            mean = estimate[chosen["patch"].to_numpy()]
            return mean, np.full(mean.shape, self.blend_.spread_)
        return forecast(
            self.patches,
            estimate,
            self.blend_.spread_,
            self.record,
            targets_of(task).iloc[rows],
            own=self._laboratory(task, rows) if self.context == "season+lab" else None,
        )

    def _laboratory(self, task: Task, rows: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Departure of each row's last laboratory value, NaN where there is none, and its age in days."""
        last = task.last.iloc[rows]
        has = last["has_last"].to_numpy(dtype=bool)
        station = task.rows["station"].to_numpy(dtype=np.str_)[rows]
        departure = np.full(has.size, np.nan)
        usual = self.record.climatology.predict(day_of_year(last["last_date"][has]), station[has])
        departure[has] = last["log10_last"].to_numpy()[has] - usual
        return departure, last["age_days"].to_numpy(dtype=np.float64)


def targets_of(task: Task) -> pd.DataFrame:
    """The rows of a task as `spectm.training.forecast.forecast` takes them.

    A sample of the current week is of its overpass, whichever of the two came first.
    """
    targets = task.rows[["station", "date", "overpass_time"]]
    lead = task.rows["hours_apart"] / 24 if task.name == "ahead" else 0.0
    return targets.assign(lead_days=lead)


def rows_clear_of(source: Task, task: Task, fold: Fold) -> IntArray:
    """Rows of another task that may be learned from where a fold of `task` is tested.

    Whole dates are left out with the buffer of the strict split; a station, or single samples, as the split
    leaves them out.
    """
    tested = task.rows.iloc[fold.test]
    if fold.split == "leave-station-out":
        clear = ~source.rows["station"].isin(set(tested["station"])).to_numpy()
    elif fold.split == "random-5":
        clear = ~source.rows["sample_id"].isin(set(tested["sample_id"])).to_numpy()
    else:
        times = row_times(tested)
        near = excluded_by(row_times(source.rows), times).reshape(2, -1).any(axis=0)
        clear = ~near & ~np.isin(source.dates, task.dates[fold.test])
        if fold.split == "forward":
            clear &= (row_times(source.rows) < times.min()).reshape(2, -1).all(axis=0)
    return np.flatnonzero(clear)
