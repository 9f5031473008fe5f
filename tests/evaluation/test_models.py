from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from spectm.evaluation.models import ABLATIONS, VARIANTS, Probe, make_variant
from spectm.evaluation.run import EvaluationSettings
from spectm.model.regressor import MIN_SPREAD
from spectm.model.spectm import SpecTM
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from tests.study import IN_WINDOW, Study

TRAIN, TEST = np.arange(20), np.arange(24, 32)


@pytest.fixture
def fresh(study: Study, tiny_settings: EvaluationSettings) -> SpecTM:
    return untrained(pretraining_data([study.patches]), tiny_settings, seed=0)


@pytest.fixture
def make(study: Study, tiny_settings: EvaluationSettings, fresh: SpecTM, fabric: Fabric):
    def build(name, context="none", *, patches=study.patches, settings=tiny_settings, seed=0):
        return make_variant(name, fabric, fresh, patches, context, settings, seed)

    return build


def test_the_family_is_that_of_the_issue() -> None:
    assert set(VARIANTS) == {
        "spectm",
        "spectm-probe",
        "spectm-blend",
        "spectm-probe-hidden",
        "spectm-random-init",
        "spectm-random-mask",
        "spectm-no-reconstruction",
        "spectm-no-indices",
        "spectm-no-temporal",
    }
    assert set(VARIANTS) - set(ABLATIONS) == {"spectm", "spectm-probe", "spectm-blend"}


@pytest.mark.parametrize(
    ("name", "section", "key", "value"),
    [
        ("spectm-random-mask", "masking", "strategy", "random"),
        ("spectm-no-reconstruction", "objective", "reconstruction", 0),
        ("spectm-no-indices", "objective", "indices", 0),
        ("spectm-no-temporal", "objective", "temporal", 0),
    ],
)
def test_an_ablation_changes_one_thing(tiny_settings, name: str, section: str, key: str, value) -> None:
    changed = VARIANTS[name].change(tiny_settings)
    assert getattr(getattr(changed, section), key) == value
    back = replace(getattr(changed, section), **{key: getattr(getattr(tiny_settings, section), key)})
    assert replace(changed, **{section: back}) == tiny_settings
    assert changed != tiny_settings
    assert VARIANTS[name].pretrained
    assert VARIANTS[name].head == "finetune"


def test_the_others_are_pretrained_as_the_settings_say(tiny_settings) -> None:
    for name in ("spectm", "spectm-probe", "spectm-blend", "spectm-probe-hidden", "spectm-random-init"):
        assert VARIANTS[name].change(tiny_settings) == tiny_settings
        assert VARIANTS[name].pretrained is (name != "spectm-random-init")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectm", "spectm-probe", "spectm-probe-hidden", "spectm-random-init"])
@pytest.mark.parametrize("context", ["none", "season+lab"])
def test_fit_and_predict(study: Study, make, fresh: SpecTM, name: str, context: str) -> None:
    task = study.tasks["current"]
    weights = {key: value.clone() for key, value in fresh.state_dict().items()}
    model = make(name, context).fit(task, TRAIN)
    mean, spread = model.predict(task, TEST)
    assert mean.shape == spread.shape == TEST.shape
    assert np.isfinite(mean).all()
    assert (spread > (0 if isinstance(model, Probe) else MIN_SPREAD)).all()
    one, _ = model.predict(task, TEST[2:3])  # each row for itself
    assert one[0] == pytest.approx(mean[2], abs=1e-4)
    again, _ = make(name, context).fit(task, TRAIN).predict(task, TEST)
    np.testing.assert_array_equal(mean, again)
    for key, value in fresh.state_dict().items():  # folds share one pretrained model
        assert torch.equal(value, weights[key])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectm", "spectm-probe"])
@pytest.mark.parametrize("context", ["none", "season+lab"])
def test_nothing_but_the_training_rows_is_learned_from(study: Study, make, name: str, context: str) -> None:
    """Other labels, and the spectra of other rows, may be anything."""
    task = study.tasks["current"]
    before, _ = make(name, context).fit(task, TRAIN).predict(task, TRAIN[:5])
    others = np.setdiff1d(np.arange(32), TRAIN)
    y, below, Rrs = task.y.copy(), task.below.copy(), study.patches.Rrs.copy()
    y[others], below[others] = 99.0, True
    Rrs[task.rows["patch"].to_numpy()[others]] *= 3
    patches = replace(study.patches, Rrs=Rrs)
    changed = replace(task, y=y, below=below, spectra=patches.mean_spectrum()[task.rows["patch"]])
    after, _ = make(name, context, patches=patches).fit(changed, TRAIN).predict(changed, TRAIN[:5])
    # A patch embedded among others differs by the last bits of float32.
    np.testing.assert_allclose(before, after, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["spectm", "spectm-probe"])
def test_with_context_the_climatology_is_what_is_departed_from(study: Study, make, name: str) -> None:
    """Labels that are the climatology leave nothing to learn: it is the answer, at new rows too."""
    task = study.tasks["current"]
    usual = replace(task, y=task.climatology, below=np.zeros(32, dtype=bool))
    mean, spread = make(name, "season").fit(usual, TRAIN).predict(usual, TEST)
    np.testing.assert_allclose(mean, task.climatology[TEST], atol=0.05)
    assert (spread < 0.8).all()
    without, _ = make(name, "none").fit(usual, TRAIN).predict(usual, TEST)
    assert np.abs(without - task.climatology[TEST]).max() > 0.05


def test_the_hidden_probe_does_not_see_the_windows(study: Study, make) -> None:
    task = study.tasks["current"]
    Rrs = study.patches.Rrs.copy()
    Rrs[:, IN_WINDOW] *= np.random.default_rng(0).uniform(0.5, 2, (len(Rrs), IN_WINDOW.sum(), 1, 1))
    painted = replace(study.patches, Rrs=Rrs.astype(np.float32))
    for name, same in (("spectm-probe-hidden", True), ("spectm-probe", False)):
        before, _ = make(name).fit(task, TRAIN).predict(task, TEST)
        after, _ = make(name, patches=painted).fit(task, TRAIN).predict(task, TEST)
        assert np.allclose(before, after, rtol=0, atol=1e-6) is same


@pytest.mark.slow
def test_the_seed_chooses_what_is_held_back(study: Study, make, tiny_settings: EvaluationSettings) -> None:
    """All rows are in every batch, so that without validation dates the seed changes nothing."""
    task = study.tasks["current"]
    for share, differ in ((0.4, True), (0.0, False)):
        finetuning = replace(tiny_settings.finetuning, validation_share=share)
        settings = replace(tiny_settings, finetuning=finetuning)
        one, other = (
            make("spectm", seed=seed, settings=settings).fit(task, TRAIN).predict(task, TEST)[0]
            for seed in (0, 1)
        )
        assert bool(np.abs(one - other).max() > 0.01) is differ
