"""A released model moved to another lake, behind the interface of the baselines, and its calibration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy.typing as npt

from spectm.data.patches import Patches
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.calibrated import calibrations
from spectm.evaluation.task import Task
from spectm.training.blend import Blend, views_of_encoders
from spectm.training.forecast import usual_at
from spectm.training.forecaster import Forecaster
from spectm.training.tuned import tuned_blend

__all__ = ["TunedEstimator", "calibrate_tuned"]


@dataclass
class TunedEstimator(BlendEstimator):
    """A blend that starts from a trained one; `views` and `record` are those of its model."""

    start: Blend | None = None

    def fit(self, task: Task, train: npt.NDArray[Any]) -> Self:
        """Learn from rows of the task "current" what the start leaves of them."""
        assert self.start is not None
        patch = task.rows["patch"].to_numpy()[train]
        usual = usual_at(self.record.climatology, self.patches.time, self.patches.station)[patch]
        views = {name: self.views[name][patch] for name in self.names}
        self.blend_, _ = tuned_blend(self.start, views, task.y[train], usual, task.dates[train])
        return self


def calibrate_tuned(
    model: Forecaster, start: Forecaster, patches: Patches, tasks: Mapping[str, Task]
) -> Forecaster:
    """The same model with a calibration for each task, learned from its own rows and not from the start's.

    Parameters
    ----------
    model : Forecaster
        Tuned on all rows of the task "current".
    start : Forecaster
        That it was tuned from.
    patches : Patches
        That the rows point into.
    tasks : mapping of str to Task
        "current", and "ahead" where there are rows of it. Where there are none, or too few dates of them, its
        intervals are those of the former.

    Raises
    ------
    CalibrationError
        If fewer than three dates of the task "current" could be predicted.
    """
    views = views_of_encoders(patches, start.encoders or (None,), indices=start.settings.indices.chosen())
    makes = [
        partial(TunedEstimator, patches, seen, blend.views, "season", start.record, start=blend)
        for seen, blend in zip(views, start.blends, strict=True)
    ]
    return replace(model, calibration=calibrations(makes, tasks))
