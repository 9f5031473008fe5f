"""Heads on a frozen embedding that is computed once: for studies that fit thousands of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.context import Context
from spectm.evaluation.baselines import Estimator
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.learners import SHORTEST_NM, Inputs
from spectm.evaluation.models import Probe
from spectm.evaluation.protocol import Study
from spectm.evaluation.task import Task
from spectm.model.spectm import SpecTM

__all__ = ["KnownProbe", "blend_on", "probe_on"]

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(slots=True)
class KnownProbe(Probe):
    """A probe that is given the embedding of all patches, shape (n_patches, n_columns)."""

    embedded: FloatArray

    def _inputs(self, task: Task, rows: npt.NDArray[np.integer[Any]]) -> Inputs:
        embedded = self.embedded[task.rows["patch"].to_numpy()[rows]]
        wavelength = np.full(embedded.shape[1], SHORTEST_NM)  # so that no column is left out
        return replace(Inputs.of(task, self.context)[rows], Rrs=embedded, wavelength=wavelength)


def probe_on(study: Study, model: SpecTM, embedded: FloatArray, context: Context) -> Callable[[], Estimator]:
    """Makes probes that have learned nothing yet."""
    return partial(KnownProbe, model, study.patches, context, hide_windows=False, embedded=embedded)


def blend_on(
    study: Study, views: Mapping[str, FloatArray], names: tuple[str, ...], context: Context
) -> Callable[[], Estimator]:
    """Makes blends of some views that have learned nothing yet; a view that the bands lack is left out."""
    assert study.record is not None
    used = tuple(name for name in names if name in views)
    return partial(BlendEstimator, study.patches, views, used, context, study.record)
