"""What the ways of `spectm finetune` share: rows that can be learned from, and what is recorded of them."""

import argparse
from typing import Any

import numpy as np

from spectm.errors import TrainingError
from spectm.evaluation.task import Task

__all__ = ["target_record", "with_rows"]


def with_rows(args: argparse.Namespace, task: Task) -> Task:
    """The task, which has rows.

    Raises
    ------
    TrainingError
        If it has none.
    """
    if len(task.rows) == 0:
        raise TrainingError(
            f"no laboratory sample of {args.labels} pairs with a patch of {args.patches}; "
            "are they of the same year?"
        )
    return task


def target_record(task: Task) -> dict[str, Any]:
    """What was learned, for the record."""
    return {
        "target": "particulate microcystin, ug L-1, log10",
        "detection_limit": 0.1,
        "n_rows": len(task.rows),
        "n_below_detection": int(np.sum(task.below)),
    }
