"""What a run found of its intervals, probabilities and flags, in sentences computed from its files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from spectm.evaluation.calibration_scores import ALIKE, binomial_interval
from spectm.evaluation.findings import TASK_TITLES, bracketed
from spectm.evaluation.scores import Interval
from spectm.evaluation.sureness import ASKED, CALIBRATED
from spectm.evaluation.sureness_blind import NOT_JUDGED
from spectm.evaluation.sureness_familiar import ANY, LAKE, LOOK
from spectm.evaluation.sureness_scores import AGAINST, FEWEST_CASES

__all__ = [
    "CORRUPTION",
    "FOREIGN",
    "MILD",
    "Sureness",
    "agreeing",
    "agreeing_ranges",
    "cell",
    "coverage_verdicts",
    "exceedance_verdicts",
    "familiar_verdicts",
    "lines_of",
    "main_model",
    "percent",
    "share_of_dates",
    "title_of",
    "withheld_verdicts",
]

CORRUPTION, MILD, FOREIGN = "corruption", "mild", "foreign"
ENOUGH = 0.95  # of the spectra that something is wrong with are to be flagged
WANTED = 0.05  # of held-out dates are meant to be


@dataclass(frozen=True, slots=True, eq=False)
class Sureness:
    """The tables of a run about how sure its models are; each may be empty.

    Parameters
    ----------
    calibration, scores, reliability, withheld, familiar, blind : DataFrame
        ``calibration.csv``, ``distribution_scores.csv``, ``reliability.csv``, ``withheld.csv``,
        ``familiar.csv`` and ``familiar_blind.csv``, as ``docs/formats.md`` describes them.
    """

    calibration: pd.DataFrame
    scores: pd.DataFrame
    reliability: pd.DataFrame
    withheld: pd.DataFrame
    familiar: pd.DataFrame
    blind: pd.DataFrame = field(default_factory=pd.DataFrame)

    def models(self, task: str) -> list[str]:
        """Models with intervals on a task: the calendar first, SpecTM last."""
        found = set(lines_of(self.calibration, task=task)["model"])
        return [name for name in CALIBRATED if name in found] + sorted(found - set(CALIBRATED))

    def blind_by_way(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """What is flagged with an encoder, by which dates were left out at once."""
        for left_out in self.blind["left_out"].unique() if len(self.blind) else ():
            yield str(left_out), lines_of(self.blind, left_out=left_out)


def main_model(sure: Sureness, task: str) -> str:
    """The model that is looked at in detail: the last that there is."""
    return sure.models(task)[-1]


def coverage_verdicts(sure: Sureness, task: str) -> list[str]:
    """Whether 90 % intervals of each model hold what they promise, and how they compare."""
    return [
        f"{model}: 90 % intervals cover {_covers(sure, task, model, 'all')} of all rows and "
        f"{_covers(sure, task, model, 'detected')} of the detected ones; each date counted the same, as they "
        f"were calibrated, {_covers(sure, task, model, f'all{ALIKE}')} and "
        f"{_covers(sure, task, model, f'detected{ALIKE}')}. {_beside(sure, task, model)}"
        for model in sure.models(task)
    ]


def _covers(sure: Sureness, task: str, model: str, rows: str) -> str:
    found = lines_of(sure.calibration, task=task, model=model, rows=rows, level=0.9)
    if found.empty or not np.isfinite(found["coverage"].iloc[0]):
        return "n/a"
    row = found.iloc[0]
    low, high = row["coverage_low"], row["coverage_high"]
    said = "0.90 lies inside" if low <= 0.9 <= high else ("too narrow" if high < 0.9 else "wider than needed")
    return f"{bracketed(row['coverage'], low, high)} ({said})"


def _beside(sure: Sureness, task: str, model: str) -> str:
    """CRPS and interval score minus those of the Gaussian process, or of the calendar where there is none."""
    for other in reversed(AGAINST):
        gaps = {
            name: lines_of(sure.scores, task=task, model=model, against=other, rows="all", score=score)
            for name, score in (("interval score", "interval_score_90"), ("CRPS", "crps"))
        }
        if model != other and not any(gap.empty for gap in gaps.values()):
            parts = (f"{name} {_gap(gap.iloc[0])}" for name, gap in gaps.items())
            return f"Minus those of {other}: {', '.join(parts)}."
    return "There is nothing to hold them against."


def _gap(row: "pd.Series[Any]") -> str:
    """A difference of which less is better."""
    low, high = float(row["low"]), float(row["high"])
    said = "better" if high < 0 else ("worse" if low > 0 else "not told apart")
    return f"{bracketed(float(row['value']), low, high, 3)}, {said}"


def exceedance_verdicts(sure: Sureness, task: str) -> list[str]:
    """Brier skill at 1 ug/L of each model that sees the spectrum, and whether probabilities are right."""
    lines = []
    for model in sure.models(task):
        skill = lines_of(
            sure.scores, task=task, model=model, score="brier_skill", threshold=1.0, against=AGAINST[0]
        )
        if not skill.empty:
            row = skill.iloc[0]
            said = (
                "above zero"
                if row["low"] > 0
                else ("below zero" if row["high"] < 0 else "not told from zero")
            )
            lines.append(f"{model}: Brier skill against the climatology at 1 ug/L is {cell(skill)}, {said}.")
    return lines + list(_rightness(sure, task))


def _rightness(sure: Sureness, task: str) -> Iterator[str]:
    """Are probabilities of the main model too low or too high? Thresholds with too few cases are named."""
    model = main_model(sure, task)
    for threshold in ASKED:
        brier = lines_of(sure.scores, task=task, model=model, score="brier", threshold=threshold)
        excess = lines_of(sure.scores, task=task, model=model, score="excess", threshold=threshold)
        if excess.empty and not brier.empty:
            n = int(brier["positives"].iloc[0])
            yield (
                f"{threshold:g} ug/L: {n} of {int(brier['n'].iloc[0])} rows reach it; a claim wants "
                f"{FEWEST_CASES} above and below, so none is made."
            )
        elif not excess.empty:
            low, high = excess[["low", "high"]].iloc[0]
            said = "too low" if low > 0 else ("too high" if high < 0 else "neither too low nor too high")
            yield (
                f"{threshold:g} ug/L: {model} has probabilities that are on average {said} (frequency minus "
                f"probability {cell(excess, digits=3)}); in {agreeing_ranges(sure, task, model, threshold)} "
                f"ranges of {FEWEST_CASES} rows or more it lies inside the interval of the frequency."
            )


def agreeing_ranges(sure: Sureness, task: str, model: str, threshold: float) -> str:
    """In how many ranges of probability the frequency agrees, as `agreeing` counts them; or "n/a"."""
    bins = lines_of(sure.reliability, task=task, model=model, threshold=threshold)
    return "n/a" if bins.empty else agreeing(bins)


def agreeing(bins: pd.DataFrame) -> str:
    """In how many ranges of probability, of enough rows, the frequency agrees: "3 of 4".

    It agrees where the mean probability lies inside the interval of the frequency; `bins` as of
    `spectm.evaluation.calibration_scores.reliability`.
    """
    bins = bins[bins["n"] >= FEWEST_CASES]
    inside = bins["probability"].between(bins["frequency_low"], bins["frequency_high"])
    return f"{int(inside.sum())} of {len(bins)}"


def withheld_verdicts(sure: Sureness, task: str) -> list[str]:
    """How much is flagged of held-out rows, and whether what is left is better."""
    lines = []
    for model in sure.models(task):
        every, kept, flagged = (
            lines_of(sure.withheld, task=task, model=model, kept=name)
            for name in ("all", "not flagged", "flagged")
        )
        if every.empty or not np.isfinite(every["rmse"].iloc[0]):
            continue
        share = f"{100 * flagged['share_of_dates'].iloc[0]:.0f} % on average over dates"
        lines.append(
            f"{model}: {int(flagged['n'].iloc[0])} of {int(every['n'].iloc[0])} rows are flagged ({share}); "
            f"RMSE is {cell(every, 'rmse')} of all, {cell(kept, 'rmse')} of the others, "
            f"{cell(flagged, 'rmse')} of the flagged."
        )
    return lines


def familiar_verdicts(sure: Sureness) -> list[str]:
    """What is flagged of the lake itself, of what is wrong, and of other waters."""
    table = sure.familiar
    lines = [*_own_lake(table, ""), *_wrong(table, "")]
    for left_out, own in sure.blind_by_way():
        encoder = f"With an encoder, {left_out} held out together: "
        failed = own.loc[own["reason"].str.startswith(NOT_JUDGED), "reason"]
        lines += [encoder + reason for reason in failed]
        lines += [*_own_lake(own, encoder), *_wrong(own, encoder)]
    lines += [
        f"{row['spectra']}: {100 * row['share']:.0f} % of {int(row['n'])} spectra are flagged by their look, "
        "on the bands that both have."
        for row in lines_of(table, kind=FOREIGN, reason=LOOK).to_dict("records")
    ]
    return lines


def _own_lake(table: pd.DataFrame, before: str) -> list[str]:
    if (lake := lines_of(table, spectra=LAKE, reason=ANY)).empty:
        return []
    row, found = lake.iloc[0], share_of_dates(lake)
    dates = f"{percent(found)} of {row['n_dates']:.0f} dates" if before else (
        f"Of the lake's own {row['n_dates']:.0f} dates, held out, {percent(found)}"
    )  # fmt: skip
    meant = _beside_wanted(found)
    line = f"{before}{dates} are flagged ({meant}), and {100 * row['share']:.0f} % of {row['n']:.0f} spectra."
    look = lines_of(table, spectra=LAKE, reason=LOOK)
    if not look.empty and look["share"].iloc[0] < row["share"]:
        line += f" By their look alone it is {percent(share_of_dates(look))} of the dates."
    return [line]


def share_of_dates(lines: pd.DataFrame) -> Interval:
    """The mean over dates of the first line of shares that are flagged, with its interval."""
    row = lines.iloc[0]
    return binomial_interval(float(row["share_of_dates"]), int(row["n_dates"]))


def _wrong(table: pd.DataFrame, before: str) -> list[str]:
    if (wrong := lines_of(table, kind=CORRUPTION, reason=ANY)).empty:
        return []
    missed = wrong[wrong["share"] < ENOUGH]
    least = f"at least {np.floor(100 * wrong['share'].min()):.0f} % of each kind"
    said = f"{least} are flagged" if missed.empty else (
        f"flagged too seldom (less than {100 * ENOUGH:.0f} %): {', '.join(missed['spectra'])}"
    )  # fmt: skip
    subject = "spectra that something is wrong with"
    return [f"{before}{subject}, {said}." if before else f"{subject.capitalize()}: {said}."]


def percent(found: Interval) -> str:
    """A share with its interval, as "7 % [1, 18]"."""
    return f"{100 * found.value:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _beside_wanted(found: Interval) -> str:
    if found.low > WANTED:
        said = "more than meant"
    else:
        said = "fewer than meant" if found.high < WANTED else "inside the interval"
    return f"{100 * WANTED:.0f} % are meant to be: {said}"


def title_of(task: str) -> str:
    """A task as headings name it."""
    return TASK_TITLES.get(task, task)


def lines_of(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Lines with these values."""
    if table.empty:
        return table
    return table[np.logical_and.reduce([(table[name] == value).to_numpy() for name, value in wanted.items()])]


def cell(lines: pd.DataFrame, name: str = "value", digits: int = 2) -> str:
    """The first line's number with its interval; "n/a" where there is no line."""
    if lines.empty:
        return "n/a"
    row = lines.iloc[0]
    low, high = (row["low"], row["high"]) if name == "value" else (row[f"{name}_low"], row[f"{name}_high"])
    return bracketed(float(row[name]), float(low), float(high), digits)
