"""Heads on what is known of all patches, for studies that fit thousands of them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.context import Context
from spectm.evaluation.baselines import Estimator
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.models import Probe
from spectm.evaluation.study import Study

__all__ = ["blend_on", "probe_on"]

FloatArray = npt.NDArray[np.floating[Any]]


def probe_on(embedded: FloatArray, context: Context) -> Callable[[], Estimator]:
    """Makes probes of an embedding of all patches that have learned nothing yet."""
    return partial(Probe, embedded, context)


def blend_on(
    study: Study, views: Mapping[str, FloatArray], names: tuple[str, ...], context: Context
) -> Callable[[], Estimator]:
    """Makes blends of some views that have learned nothing yet."""
    assert study.record is not None
    return partial(BlendEstimator, study.patches, views, names, context, study.record)
