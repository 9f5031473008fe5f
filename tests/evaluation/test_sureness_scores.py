"""Scores of distributions by hand."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from spectm.evaluation.scores import Observations
from spectm.evaluation.sureness_scores import (
    SCORE_COLUMNS,
    calibration_lines,
    distribution_scores,
    reliability_lines,
    seen_by_model,
    withheld_lines,
)

N_DATES, EACH = 4, 5
DATES = np.repeat([f"2024-07-0{day}" for day in range(1, N_DATES + 1)], EACH)
# Ten rows at 2 ug/L and ten at 0.5 ug/L, of which two are below detection at 0.5; mixed over the dates.
Y = np.log10(np.tile([2.0, 0.5], 10))
BELOW = np.zeros(20, dtype=bool)
BELOW[[1, 11]] = True


@dataclass
class MadeTask:
    """As much of a task as scores want."""

    y: np.ndarray = field(default_factory=lambda: Y)
    below: np.ndarray = field(default_factory=lambda: BELOW)
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"station": np.tile(["A", "B"], 10)}))

    def observations(self, rows):
        return Observations(self.y[rows], self.below[rows], DATES[rows])


TASKS = {"current": MadeTask()}


def lines_of(model, *, crps, p, half_width=0.5, rows=range(20), split="leave-date-out"):
    rows = np.array(list(rows))
    table = pd.DataFrame({"row": rows, "mean": Y[rows], "fold": DATES[rows]})
    named = {"task": "current", "split": split, "model": model, "context": "season"}
    table = table.assign(**named, spread=0.2, crps=crps, p_below_detection=0.1, n_dates=3)
    for level, width in (("50", half_width / 2), ("90", half_width)):
        table[f"low_{level}"], table[f"high_{level}"] = Y[rows] - width, Y[rows] + width
    return table.assign(**{"p_0.3": 1.0, "p_1": p, "p_1.6": p, "p_8": 0.0})


SURE = np.where(Y > 0, 1.0, 0.0)  # knows which rows reach 1 ug/L


def one(table, **wanted):
    found = table[np.logical_and.reduce([(table[name] == value) for name, value in wanted.items()])]
    assert len(found) == 1, found
    return found.iloc[0]


@pytest.fixture(scope="module")
def scored():
    lines = pd.concat(
        [lines_of("climatology", crps=0.5, p=0.5), lines_of("blend-plain", crps=0.2, p=0.8 * SURE + 0.1)]
    )
    return distribution_scores(TASKS, lines)


def test_losses_alone_and_beside(scored):
    assert list(scored) == SCORE_COLUMNS
    alone = one(scored, model="blend-plain", score="crps", rows="all", against="")
    assert (alone["value"], alone["low"], alone["high"], alone["n"]) == (
        pytest.approx(0.2),
        pytest.approx(0.2),
        pytest.approx(0.2),
        20,
    )
    gap = one(scored, model="blend-plain", score="crps", rows="detected", against="climatology")
    assert (gap["value"], gap["high"], gap["n"]) == (pytest.approx(-0.3), pytest.approx(-0.3), 18)
    back = one(scored, model="climatology", score="interval_score_90", rows="all", against="")
    assert back["value"] == pytest.approx(1.0)  # every row is covered: the width is left
    assert not (scored["against"] == "gp").any()
    assert not ((scored["model"] == "climatology") & (scored["against"] == "climatology")).any()


def test_probabilities(scored):
    brier = one(scored, model="blend-plain", score="brier", threshold=1.0)
    assert (brier["value"], brier["positives"]) == (pytest.approx(0.01), 10)
    skill = one(scored, model="blend-plain", score="brier_skill", threshold=1.0, against="climatology")
    assert skill["value"] == pytest.approx(1 - 0.01 / 0.25)
    # 0.9 where it happened, 0.1 where it did not: neither too low nor too high
    assert one(scored, model="blend-plain", score="excess", threshold=1.0)["value"] == pytest.approx(0)
    nobody = one(scored, model="blend-plain", score="brier", threshold=8.0)
    assert (nobody["value"], nobody["positives"]) == (0, 0)
    for rare in (0.3, 8.0):  # all rows reach the one, none the other
        few = scored[(scored["threshold"] == rare) & scored["score"].isin(["brier_skill", "excess"])]
        assert few.empty


def test_excess_is_what_probabilities_lack():
    scored = distribution_scores(TASKS, lines_of("gp", crps=0.1, p=0.2))
    assert one(scored, score="excess", threshold=1.0)["value"] == pytest.approx(0.5 - 0.2)


def test_models_are_compared_on_the_rows_that_both_have():
    crps = np.linspace(0, 1, 20)
    lines = pd.concat(
        [lines_of("climatology", crps=crps, p=0.5), lines_of("gp", crps=0.0, p=0.5, rows=range(5))]
    )
    gap = one(distribution_scores(TASKS, lines), model="gp", score="crps", rows="all", against="climatology")
    assert (gap["value"], gap["n"]) == (pytest.approx(-crps[:5].mean()), 5)


def test_coverage_lines():
    table = calibration_lines(TASKS, lines_of("gp", crps=0.1, p=0.5))
    assert list(table.columns[:9]) == [
        "task",
        "split",
        "model",
        "context",
        "rows",
        "level",
        "coverage",
        "coverage_low",
        "coverage_high",
    ]
    assert one(table, rows="detected", level=0.9)["coverage"] == 1
    assert one(table, rows="station B", level=0.5)["width"] == pytest.approx(0.5)
    assert one(table, rows="below detection", level=0.9)["n"] == 2
    assert one(table, rows="1.6-8 ug/L", level=0.9)["n"] == 10


def test_reliability_has_only_thresholds_with_enough_cases():
    table = reliability_lines(TASKS, lines_of("gp", crps=0.1, p=0.8 * SURE + 0.1))
    assert set(table["threshold"]) == {1.0, 1.6}
    at = table[table["threshold"] == 1.0]
    assert at["probability"].tolist() == pytest.approx([0.1, 0.9])
    assert at["frequency"].tolist() == [0, 1]
    assert at["n"].tolist() == [10, 10]


def flags_of(seer, flagged, strangeness):
    named = {"task": "current", "split": "leave-date-out", "seer": seer}
    rows = pd.DataFrame({"row": range(20), "fold": DATES, "flagged": flagged, "strangeness": strangeness})
    return rows.assign(**named, reasons=np.where(flagged, "shape", ""))


def test_only_spectm_sees_by_the_encoder():
    flags = pd.concat([flags_of("bands", False, 0.5), flags_of("encoder", True, 2.0)])
    lines = pd.concat([lines_of(name, crps=0.1, p=0.5) for name in ("gp", "spectm-blend")])
    found = seen_by_model(lines, flags)
    assert len(found) == 40
    assert found.groupby("model")["flagged"].sum().to_dict() == {"gp": 0, "spectm-blend": 20}
    bands = seen_by_model(lines, flags[flags["seer"] == "bands"])
    assert not bands["flagged"].astype(bool).any()
    nothing = seen_by_model(lines, flags.iloc[:0])
    assert nothing["flagged"].isna().all()
    assert withheld_lines(TASKS, nothing).empty


def test_what_is_left_when_the_strange_are_withheld():
    """The four strangest rows, one a date, are each 0.4 off and cost a CRPS of 1; the rest are right."""
    strange = np.tile([1, 0, 0, 0, 0], 4).astype(bool)
    lines = lines_of("gp", crps=np.where(strange, 1.0, 0.1), p=0.5)
    lines["mean"] = Y + 0.4 * strange
    judged = seen_by_model(lines, flags_of("bands", strange, np.where(strange, np.inf, 0.3)))
    found = withheld_lines(TASKS, judged).set_index("kept")
    assert found.loc["all", "rmse"] == pytest.approx(0.4 * 0.2**0.5)
    assert found.loc["flagged", "rmse"] == pytest.approx(0.4)
    assert found.loc["not flagged", ["rmse", "crps", "n"]].tolist() == pytest.approx([0, 0.1, 16])
    assert found.loc["0.8", "n"] == 16
    assert found.loc["0.8", "rmse"] == pytest.approx(0)
    assert found.loc["0.9", "rmse"] == pytest.approx(0.4 * (2 / 18) ** 0.5)
    assert found.loc["flagged", "share_of_dates"] == pytest.approx(0.2)
