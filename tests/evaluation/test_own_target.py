"""Comparing models of one's own target: blind to what is tested, and scored by hand-made numbers."""

import numpy as np
import pandas as pd
import pytest

from spectm.errors import ConfigError, SplitError
from spectm.evaluation import own_target
from spectm.evaluation.own_page import own_page
from spectm.evaluation.own_target import BASELINES, MASKINGS, OwnConfig, compare_own, own_task
from spectm.training.pretrain import pretrain as real_pretrain
from tests.training.test_spectral_model import LIMIT, SETTINGS, make_spectra

TINY = OwnConfig(seeds=1, folds=3, workers=1)


@pytest.mark.slow
def test_nothing_of_a_tested_group_is_seen(monkeypatch):
    spectra = make_spectra(n=36, groups=6)
    task = own_task(spectra, SETTINGS)
    seen = []

    def spied(fabric, sources, settings, *, seed):
        seen.append((set(sources[0].station), settings.masking.strategy))
        return real_pretrain(fabric, sources, settings, seed=seed)

    monkeypatch.setattr(own_target, "pretrain", spied)
    train, test = np.flatnonzero(task.dates != "g2"), np.flatnonzero(task.dates == "g2")
    lines = own_target._pretrained(spectra, task, SETTINGS, (train, test), "random", 0)
    assert seen == [({"g0", "g1", "g3", "g4", "g5"}, "random")]
    assert sorted({line["row"] for line in lines}) == test.tolist()
    changed = make_spectra(n=36, groups=6)
    changed.value[changed.group == "g2"] *= 3  # the answers
    own = own_target._pretrained(changed, own_task(changed, SETTINGS), SETTINGS, (train, test), "random", 0)
    assert own == lines


@pytest.mark.slow
def test_all_models_are_scored_and_a_stopped_run_goes_on(tmp_path, monkeypatch):
    spectra = make_spectra(n=48, groups=8)
    found = compare_own(spectra, SETTINGS, TINY, tmp_path, identity={"files": 1}, progress=False)
    heads = [f"{head}-{masking}" for head in ("probe", "blend") for masking in MASKINGS]
    assert set(found.scores["model"]) == {*BASELINES, *heads}
    rows = spectra.labelled.size
    assert (found.predictions.groupby("model").size() == rows).all()
    best = found.scores.set_index("model")
    assert best.loc["ridge", "r2"] > 0.8 > best.loc["mean", "r2"]
    # by the definition, from what was written
    own = pd.read_csv(tmp_path / "predictions.csv")
    own = own[own["model"] == "ridge"]
    y, guess = own["observed_log10"], own["mean"].clip(lower=np.log10(LIMIT))
    assert best.loc["ridge", "r2"] == pytest.approx(
        1 - ((y - guess) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )
    assert best.loc["ridge", "rmse"] == pytest.approx(np.sqrt(((y - guess) ** 2).mean()), rel=1e-3)
    blend = pd.read_csv(tmp_path / "predictions.csv")
    blend = blend[blend["model"] == "blend-targeted"]
    held = (blend["low90"] <= blend["observed_log10"]) & (
        blend["below_detection"] | (blend["observed_log10"] <= blend["high90"])
    )
    assert best.loc["blend-targeted", "coverage90"] == pytest.approx(held.mean(), abs=1e-6)
    monkeypatch.setattr(own_target, "pretrain", None)  # nothing is trained again
    again = compare_own(spectra, SETTINGS, TINY, tmp_path, identity={"files": 1}, progress=False)
    pd.testing.assert_frame_equal(again.scores, found.scores)
    with pytest.raises(ConfigError, match="another study: files"):
        compare_own(spectra, SETTINGS, TINY, tmp_path, identity={"files": 2}, progress=False)
    page = own_page(spectra, found.scores, found.differences, {"command": "spectm evaluate", "quick": False})
    assert "No claim rests on 1 seeds" in page
    assert page.count("\n| random |") == 2


def test_scores_do_not_depend_on_the_unit():
    spectra = make_spectra(n=36, groups=6)
    task = own_task(spectra, SETTINGS)
    rng = np.random.default_rng(0)
    names = [f"{head}-{masking}" for head in ("probe", "blend") for masking in MASKINGS]
    lines = pd.DataFrame(
        [
            {"model": name, "seed": 0, "row": row, "mean": task.y[row] + rng.normal(0, 0.2), "low90": np.nan}
            for name in [*names, "mean"]
            for row in range(task.y.size)
        ]
    )
    scores, differences = own_target._scored(task, lines, LIMIT)
    by_thousand = lines.assign(mean=lines["mean"] - 3)
    import dataclasses

    other = dataclasses.replace(task, y=task.y - 3)
    again, differences_again = own_target._scored(other, by_thousand, LIMIT / 1000)
    pd.testing.assert_frame_equal(scores, again)
    pd.testing.assert_frame_equal(differences, differences_again)


def test_too_few_groups_and_odd_settings_are_refused(tmp_path):
    with pytest.raises(SplitError, match="6 groups or more with thing, found 4"):
        compare_own(make_spectra(n=20, groups=4), SETTINGS, TINY, tmp_path, identity={})
    with pytest.raises(ConfigError, match="two folds or more"):
        OwnConfig(folds=1)
