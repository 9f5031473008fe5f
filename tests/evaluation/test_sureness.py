"""Calibration inside training parts: no fit knows what is tested, and an oracle's distribution is known."""

from functools import partial

import numpy as np
import pytest

from spectm.data.splits import Fold, leave_date_out, row_times
from spectm.errors import LeakageError
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.sureness import ASKED, Remembering, distribution_lines, probability_column
from tests.study import Study

OFF, SPREAD = 0.3, 0.3


class Oracle:
    """Answers with the truth, one spread too high; notes what it was fitted to."""

    def __init__(self, seen=None):
        self.seen = [] if seen is None else seen

    def fit(self, task, train):
        self.seen.append((task, train))
        return self

    def predict(self, task, rows):
        return task.y[rows] + OFF, np.full(rows.size, SPREAD)


class BlendOracle(BlendEstimator):
    """The same, and taken for a blend."""

    def __init__(self, seen):
        self.seen = seen

    fit, predict = Oracle.fit, Oracle.predict


def test_what_was_fitted_before_is_remembered(study: Study) -> None:
    task, seen, fitted = study.tasks["current"], [], {}
    for rows in ([1, 2, 3], [1, 2], [1, 2, 3]):
        found = Remembering(partial(Oracle, seen), fitted).fit(task, np.array(rows))
        assert found.predict(task, np.array([4]))[0] == pytest.approx(task.y[4] + OFF)
    assert [train.tolist() for _, train in seen] == [[1, 2, 3], [1, 2]]
    Remembering(partial(Oracle, seen), fitted).fit(study.tasks["ahead"], np.array([1, 2]))
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["current", "ahead"])
def test_the_distribution_of_an_oracle(study: Study, name: str) -> None:
    """Every training row is one spread off, so that intervals reach one spread either way."""
    task = study.tasks[name]
    fold = leave_date_out(task.rows)[2]
    lines = distribution_lines(task, fold, "oracle", "season", Oracle)
    assert [line["row"] for line in lines] == fold.test.tolist()
    for line in lines:
        truth = task.y[line["row"]]
        assert line["mean"] == pytest.approx(truth + OFF)
        assert line["low_90"] == pytest.approx(truth)
        assert line["high_90"] == pytest.approx(truth + 2 * OFF)
        assert line["low_50"] == pytest.approx(truth)  # there is one distance alone
        assert (line["task"], line["fold"], line["model"], line["context"]) == (
            name,
            fold.name,
            "oracle",
            "season",
        )
        probability = [line[probability_column(threshold)] for threshold in ASKED]
        assert probability == sorted(probability, reverse=True)
        # an oracle one spread too high: at the mean itself the probability is one half
        above = line["mean"] - np.log10(ASKED)
        assert all((p > 0.5) == (gap > 0) for p, gap in zip(probability, above, strict=True))
        # what lies above the mean by the width costs less than all of it, and something
        assert 0 < line["crps"] < 2 * OFF
        assert line["n_dates"] == np.unique(task.dates[fold.train]).size


def test_no_fit_sees_the_test_date(study: Study) -> None:
    task, seen = study.tasks["current"], []
    fold = leave_date_out(task.rows)[3]
    distribution_lines(task, fold, "oracle", "season", partial(Oracle, seen))
    # one for each date of the training part, and one for all of it
    assert len(seen) == np.unique(task.dates[fold.train]).size + 1
    tested = row_times(task.rows.iloc[fold.test])
    for source, train in seen:
        assert source is task
        assert set(train) <= set(fold.train)
        apart = np.abs(row_times(task.rows.iloc[train])[:, None] - tested)
        assert (apart > np.timedelta64(60, "h")).all()
    assert {tuple(train) for _, train in seen} >= {tuple(fold.train)}


def test_blends_learn_from_the_current_week(study: Study) -> None:
    current, ahead, seen = study.tasks["current"], study.tasks["ahead"], []
    fold = leave_date_out(ahead.rows)[1]
    lines = distribution_lines(ahead, fold, "blend", "season", partial(BlendOracle, seen), current=current)
    assert len(lines) == fold.test.size
    assert all(source is current for source, _ in seen)
    tested = row_times(ahead.rows.iloc[fold.test])
    for _, train in seen:
        apart = np.abs(row_times(current.rows.iloc[train])[:, None] - tested)
        assert (apart > np.timedelta64(60, "h")).all()


@pytest.mark.slow
def test_one_fit_serves_both_orders(study: Study) -> None:
    """Leaving out a and then b is b and then a: 8 dates make 8 + 28 fits, not 8 + 56."""
    task, seen, fitted = study.tasks["current"], [], {}
    for fold in leave_date_out(task.rows):
        distribution_lines(task, fold, "o", "season", partial(Oracle, seen), fitted=fitted)
    assert len(seen) == 8 + 28


def test_too_few_dates_have_no_distribution(study: Study) -> None:
    task = study.tasks["current"]
    whole = leave_date_out(task.rows)[0]
    few = np.flatnonzero(np.isin(task.dates, np.unique(task.dates)[[3, 5]]))
    fold = Fold(name=whole.name, split=whole.split, repeat=0, train=few, test=whole.test)
    assert distribution_lines(task, fold, "oracle", "season", Oracle) == []


def test_what_must_not_be_learned_from(study: Study) -> None:
    task = study.tasks["current"]
    whole = leave_date_out(task.rows)[0]
    train = np.union1d(whole.train, whole.test[:1])
    fold = Fold(name=whole.name, split=whole.split, repeat=0, train=train, test=whole.test)
    with pytest.raises(LeakageError, match="test row"):
        distribution_lines(task, fold, "oracle", "season", Oracle)
    with pytest.raises(ValueError, match="no last laboratory values"):
        distribution_lines(task, whole, "oracle", "season+lab", Oracle)
