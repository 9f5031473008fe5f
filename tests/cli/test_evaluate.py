"""What the options of `spectm evaluate` ask for; the run itself is tested with the others."""

import argparse

import pytest

from spectm.cli.evaluate import add_arguments, asked_for
from spectm.evaluation.run import EvaluationSettings
from spectm.evaluation.study import MODELS, EvaluationConfig

ABLATIONS = {"spectm-random-init", "spectm-random-mask", "spectm-probe-hidden"}
ABLATIONS |= {f"spectm-no-{task}" for task in ("reconstruction", "indices", "temporal")}


@pytest.fixture
def asked():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    data = ["--patches", "a.nc", "--labels", "b.csv", "--out", "c"]
    return lambda *words: asked_for(parser.parse_args([*data, *words]))


def test_without_options_the_settings_are_asked_for(asked) -> None:
    assert asked() == EvaluationSettings()


def test_quick_is_less_of_the_same(asked) -> None:
    found = asked("--quick")
    assert set(MODELS) - set(found.evaluation.models) == ABLATIONS
    assert (found.evaluation.splits, found.evaluation.seeds) == (("leave-date-out",), 1)
    assert found.evaluation.guards_nm == (0.0,)
    assert found.pretraining.loop.steps == 60
    assert found.encoder == EvaluationSettings().encoder
    assert asked("--quick", "--set", "pretraining.loop.steps=7").pretraining.loop.steps == 7


def test_models_that_are_named_are_run(asked) -> None:
    named = ("ridge", "spectm-random-mask")
    assert asked("--quick", "--models", "ridge, spectm-random-mask").evaluation.models == named
    assert asked("--quick", "--set", f"evaluation.models={list(named)}").evaluation.models == named
    assert asked("--models", "gp").evaluation == EvaluationConfig(models=("gp",))
