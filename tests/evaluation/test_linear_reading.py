"""What is read from embeddings: of spectra that neither the encoder nor the regression ever saw."""

import numpy as np
import pytest

from spectm.data.splits import excluded_by
from spectm.evaluation.run import EvaluationSettings
from spectm.evaluation.sureness_blind import SPREAD_OUT, dealt
from spectm.training.forecast import local_days
from spectm.training.ridge import GroupedRidge
from tests.study import Study
from tools import linear_reading
from tools.linear_reading import PRETRAINED, RANDOM, out_of_date, table


def test_a_line_of_the_table_by_hand() -> None:
    """One seed reads all, the other nothing but the mean; random weights have half of it left."""
    values, dates = np.array([-1.5, -0.5, 0.5, 1.5]), np.array(["a", "b", "c", "d"])
    read = {PRETRAINED: np.array([values, np.zeros(4)]), RANDOM: np.array([0.5 * values, 0.5 * values])}
    line = table({kind: {"pci": found} for kind, found in read.items()}, {"pci": values}, dates)
    cells = line.splitlines()[-1].strip("| ").split(" | ")
    assert cells[:3] == ["`pci`", "0.500", "0.750"]
    assert cells[3].startswith("-0.250 [")


@pytest.mark.slow
def test_nothing_near_what_is_read_was_learned_from(
    study: Study, tiny_settings: EvaluationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = study.patches.select(np.flatnonzero(study.patches.valid.any(axis=(1, 2))))
    asked, fitted, predicted = [], [], []
    pretrain, fit, predict = linear_reading.pretrain, GroupedRidge.fit, GroupedRidge.predict

    def watched(fabric, sources, settings, *, seed):
        asked.append(np.concatenate([source.time for source in sources]))
        return pretrain(fabric, sources, settings, seed=seed)

    def watched_fit(self, columns, y, groups):
        fitted.append(np.unique(groups))
        return fit(self, columns, y, groups)

    def watched_predict(self, columns):
        predicted.append(columns)
        return predict(self, columns)

    monkeypatch.setattr(linear_reading, "pretrain", watched)
    monkeypatch.setattr(GroupedRidge, "fit", watched_fit)
    monkeypatch.setattr(GroupedRidge, "predict", watched_predict)
    brightness = patches.mean_spectrum().mean(axis=1)
    read = out_of_date(patches, [study.patches], {"brightness": brightness}, 1, tiny_settings)
    dates = local_days(patches.time)
    sets = dealt(dates, 5)[SPREAD_OUT]
    assert len(asked) == len(sets) == 5
    for number, names in enumerate(sets):
        tested = patches.time[np.isin(dates, names)]
        assert not excluded_by(asked[number], tested).any()
        for used in fitted[2 * number : 2 * number + 2]:  # both kinds of encoder
            learned = patches.time[np.isin(dates, used)]
            assert not excluded_by(learned, tested).any()
        one, other = predicted[2 * number : 2 * number + 2]
        assert len(one) == tested.size
        assert np.abs(one - other).max() > 1e-3
    assert np.corrcoef(read[PRETRAINED]["brightness"][0], brightness)[0, 1] > 0.95
    assert np.isfinite(read[RANDOM]["brightness"]).all()
