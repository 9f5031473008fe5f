"""Whether probabilities of exceeding a threshold are right, over several simulated lakes together.

    python -m tools.exceedance RUN [RUN ...]

RUN is a folder of `spectm evaluate`, one for each lake. A lake is one more set of dates: intervals are over
dates of all. One line for each task, model and threshold, as Markdown.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm.evaluation.calibration_scores import brier_skill, excess, reliability
from spectm.evaluation.findings import bracketed
from spectm.evaluation.scores import Observations, reached
from spectm.evaluation.sureness import probability_column
from spectm.evaluation.sureness_findings import agreeing

FloatArray = npt.NDArray[np.floating[Any]]
THRESHOLDS = (1.0, 8.0)
KEYS = ["lake", "task", "station", "sample_time"]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Distributions of one model, as ``distribution.csv`` has them."""

    rows: pd.DataFrame

    @property
    def observed(self) -> Observations:
        """What was measured; the same date of two lakes is two dates."""
        dates = self.rows["lake"].astype(str) + " " + self.rows["fold"].astype(str)
        return Observations(
            log10=np.log10(self.rows["observed"].to_numpy(dtype=np.float64)),
            below_detection=self.rows["below_detection"].to_numpy(dtype=bool),
            dates=dates.to_numpy(dtype=np.str_),
        )

    def exceedance(self, threshold: float) -> FloatArray:
        """Probability of each row to lie above a threshold, ug/L."""
        return self.rows[probability_column(threshold)].to_numpy(dtype=np.float64)


def read_lakes(folders: Sequence[Path]) -> pd.DataFrame:
    """``distribution.csv`` of all folders, with the number of the lake."""
    parts = [pd.read_csv(folder / "distribution.csv", keep_default_na=False) for folder in folders]
    return pd.concat([part.assign(lake=number) for number, part in enumerate(parts)], ignore_index=True)


def table(lines: pd.DataFrame) -> Iterator[str]:
    """Frequency minus probability, Brier skill against the climatology and ranges that agree."""
    columns = ("Task", "Model", "Above, ug/L", "Rows", "Cases", "Frequency minus probability")
    yield f"| {' | '.join((*columns, 'Brier skill', 'Ranges that agree'))} |"
    yield "|---" * (len(columns) + 2) + "|"
    for (task, model), own in lines.groupby(["task", "model"], sort=True):
        usual = lines[(lines["task"] == task) & (lines["model"] == "climatology")]
        for threshold in THRESHOLDS:
            cells = line(Lines(own.sort_values(KEYS)), Lines(usual.sort_values(KEYS)), threshold)
            yield f"| {task} | {model} | {threshold:g} | {' | '.join(cells)} |"


def line(own: Lines, usual: Lines, threshold: float) -> tuple[str, ...]:
    """Cells of one line; both have the same rows in the same order."""
    observed = own.observed
    event, above = reached(observed, threshold), excess(observed, own, threshold)
    skill = brier_skill(observed, own, usual, threshold)
    return (
        str(event.size),
        str(event.sum()),
        bracketed(above.value, above.low, above.high, 3),
        bracketed(skill.value, skill.low, skill.high),
        agreeing(reliability(observed, own, threshold)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.exceedance", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    lines = read_lakes(parser.parse_args(arguments).runs)
    sys.stdout.write("\n".join(table(lines)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
