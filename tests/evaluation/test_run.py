import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spectm
from spectm.data.labels import read_labels
from spectm.data.patches import read_patches
from spectm.errors import ConfigError
from spectm.evaluation import protocol
from spectm.evaluation.audit import audit_labels, audit_own_last_value, audit_spectra
from spectm.evaluation.folds import training_rows
from spectm.evaluation.results import with_ensemble
from spectm.evaluation.run import EvaluationSettings, evaluate, pair_table
from spectm.evaluation.run_folder import read_run_folder
from spectm.evaluation.scopes import blind_sources, scopes
from spectm.evaluation.study import SPLITS, EvaluationConfig, prepared
from spectm.evaluation.task import Task, build_task
from tests.study import BANDS_NM, IN_WINDOW, Study

# Paired differences


def offset(task: Task, by: float, *, model: str, seed: int = 0, context="none", split="leave-date-out"):
    """Every row predicted too high by the same."""
    table = pd.DataFrame({"row": np.arange(task.y.size), "mean": task.y + by, "spread": 0.5})
    named = {"task": task.name, "split": split, "model": model, "context": context, "seed": seed}
    return table.assign(**named, repeat=0, fold="one")


def pairs_of(task: Task, *parts: pd.DataFrame) -> pd.DataFrame:
    return pair_table({task.name: task}, with_ensemble(pd.concat(parts, ignore_index=True)))


@pytest.fixture
def task(study: Study) -> Task:
    return study.tasks["current"]


def test_pairs_by_hand(task: Task) -> None:
    found = pairs_of(
        task,
        offset(task, 0.2, model="spectm", seed=0),
        offset(task, 0.4, model="spectm", seed=1),
        offset(task, 0.5, model="ridge"),
        offset(task, 0.1, model="spectm-random-mask", seed=0),
    ).set_index("against")
    assert set(found.index) == {"ridge", "spectm-random-mask"}
    variance = np.var(task.y)
    # The ensemble of spectm is 0.3 off; its first seed, which the ablation is held against, 0.2.
    ridge, ablation = found.loc["ridge"], found.loc["spectm-random-mask"]
    assert ridge["r2_difference"] == pytest.approx((0.25 - 0.09) / variance)
    assert ablation["r2_difference"] == pytest.approx((0.01 - 0.04) / variance)
    assert 0 < ridge["low"] < ridge["r2_difference"] < ridge["high"]
    assert ablation["low"] < ablation["r2_difference"] < ablation["high"] < 0
    assert (found["model"] == "spectm").all()


def test_pairs_are_of_one_context_and_of_the_headline_split(task: Task) -> None:
    parts = [
        offset(task, 0.2, model="spectm", context="none"),
        offset(task, 0.1, model="spectm", context="season"),
        offset(task, 0.4, model="mean", context="none"),
        offset(task, 0.3, model="climatology", context="season"),
        offset(task, 0.1, model="persistence", context="season+lab"),
        offset(task, 0.1, model="gp", split="forward"),
    ]
    found = pairs_of(task, *parts)
    pairs = set(found[["context", "against", "split"]].itertuples(index=False, name=None))
    assert pairs == {("none", "mean", "leave-date-out"), ("season", "climatology", "leave-date-out")}


def test_without_spectm_there_is_no_pair(task: Task) -> None:
    found = pairs_of(task, offset(task, 0.2, model="ridge"), offset(task, 0.1, model="mean"))
    assert found.empty
    columns = ["task", "split", "context", "model", "against", "r2_difference", "low", "high"]
    assert list(found) == [*columns, "corrected_low", "corrected_high", "p_corrected", "detectable"]


# A whole evaluation


@pytest.mark.slow
def test_evaluate_writes_what_the_formats_page_lists(
    study: Study, tiny_settings: EvaluationSettings, tmp_path: Path
) -> None:
    models = ("mean", "climatology", "ridge", "spectm", "spectm-blend", "spectm-no-indices")
    config = replace(
        tiny_settings.evaluation, splits=("leave-date-out",), models=models, contexts=("none", "season")
    )
    settings = replace(tiny_settings, evaluation=config)
    provenance = {"files": [], "labels": "labels.csv"}
    out = tmp_path / "deep" / "run"
    written = evaluate(study.patches, study.labels, study.unlabelled, settings, out, provenance=provenance)
    assert sorted(written) == sorted(out.iterdir())
    assert written[-1].name == "report.html"
    run = read_run_folder(out)
    assert run.absent == ()
    assert len(run.scores) == 2 * (2 * (1 + 1 + 2 + 2 + 2 + 1))  # tasks, seed and ensemble, models
    assert len(run.predictions) == 32 * len(run.scores)

    record = json.loads((out / "run.json").read_text())
    assert record["spectm_version"] == spectm.__version__
    assert record["labels"] == "labels.csv"
    assert "14 of 33 bands hidden (42%" in record["mask"]
    assert record["settings"]["encoder"]["width"] == 16
    assert record["settings"]["evaluation"]["models"] == list(models)
    assert record["n_parameters"] > 1000

    guard = np.isin(BANDS_NM, [613, 643, 658, 683, 693])
    examples = run.examples
    assert examples.groupby(["guard_nm", "example"]).size().tolist() == [33] * 8
    spectra = study.patches.mean_spectrum()
    for (guard_nm, _), lines in examples.groupby(["guard_nm", "example"]):
        np.testing.assert_array_equal(lines["scored"], IN_WINDOW)
        np.testing.assert_array_equal(lines["hidden"], IN_WINDOW | (guard & (guard_nm == 5)))
        assert lines[["spectm", "ridge", "pca"]][IN_WINDOW].notna().all(axis=None)
        assert lines[["spectm", "ridge", "pca", "spline"]][~IN_WINDOW].isna().all(axis=None)
        miss = np.abs(spectra - lines["observed"].to_numpy()).max(axis=1)
        row = np.nanargmin(miss)
        assert miss[row] < 1e-7  # six digits
        assert str(study.patches.time[row])[:10] == lines["date"].iloc[0]
    table = run.reconstruction.set_index(["guard_nm", "window", "method"])
    assert (table.loc[(5.0, "all", "ridge"), ["rmse_ratio", "rmse_ratio_low", "rmse_ratio_high"]] == 1).all()
    assert (0.0, "interior", "spline") in table.index
    assert (0.0, "698-718 nm", "spline") not in table.index


@pytest.fixture
def small(tiny_settings: EvaluationSettings) -> EvaluationSettings:
    """Five jobs of blocks, two of baselines, and what tells how sure they are."""
    config = replace(
        tiny_settings.evaluation,
        splits=("leave-date-out",),
        models=("ridge", "climatology", "spectm"),
        contexts=("season",),
        tasks=("current",),
        guards_nm=(0.0,),
    )
    return replace(tiny_settings, evaluation=config)


@pytest.mark.slow
def test_a_stopped_evaluation_goes_on(study: Study, small, tmp_path: Path, monkeypatch) -> None:
    """All tables are the same, and what had been computed is not computed again."""
    given = (study.patches, study.labels, study.unlabelled)
    provenance = {"files": [], "labels": "labels.csv"}
    run_one = partial(evaluate, *given, provenance=provenance)
    straight = run_one(small, tmp_path / "straight")
    ridge = protocol._baseline_job

    def stop(*arguments):
        if arguments[-1] == "climatology":
            raise KeyboardInterrupt
        return ridge(*arguments)

    monkeypatch.setattr(protocol, "_baseline_job", stop)
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt, match=r"after (\d+) of \d+ jobs; the same command goes on"):
        run_one(small, out)
    names = [f"leave-date-out.block-{block}.spectm.0" for block in range(5)]
    done = {f"{name}.csv" for name in [*names, "leave-date-out.current.ridge"]}
    done |= {f"{name}.{table}.csv" for name in names for table in ("curves", "reconstruction")}
    assert done <= {path.name for path in (out / "jobs").iterdir()}
    assert not (out / "jobs" / "leave-date-out.current.climatology.csv").exists()
    assert not (out / "scores.csv").exists()
    other = replace(small, encoder=replace(small.encoder, width=32))
    with pytest.raises(ConfigError, match=r"another study: settings\.encoder\.width differ\. Give another"):
        run_one(other, out)
    with pytest.raises(ConfigError, match="labels differ"):
        evaluate(*given, small, out, provenance={**provenance, "labels": "others.csv"})
    monkeypatch.setattr(protocol, "_baseline_job", ridge)
    monkeypatch.setattr(protocol, "_spectm_job", lambda *arguments: pytest.fail("computed again"))
    run_one(small, out)
    assert not (out / "jobs").exists()  # finished: nothing stands in the way of another run
    assert not (out / "study.json").exists()
    for path in straight:
        if path.suffix == ".csv":
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_processes_are_no_part_of_what_results_rest_on(study: Study, small: EvaluationSettings) -> None:
    one, other = (
        protocol._identity(
            prepared(study.patches, study.labels, (), small, replace(small.evaluation, workers=workers))
        )
        for workers in (1, 2)
    )
    assert one == other
    assert one["spectm_version"] == spectm.__version__
    assert one["settings"]["evaluation"]["models"] == ("ridge", "climatology", "spectm")


# Real data


@pytest.fixture(scope="module")
def erie(lake_erie: Path):
    patches = read_patches(lake_erie / "pace_station_patches.nc")
    labels = read_labels(lake_erie / "glerl")
    tasks = {name: build_task(name, patches, labels) for name in ("current", "ahead")}
    return patches, read_patches(lake_erie / "pace_pixels.nc"), tasks


def test_counts_and_check_sums_of_the_protocol(erie) -> None:
    _, _, tasks = erie
    current, ahead = tasks["current"], tasks["ahead"]
    assert (len(current.rows), int(current.below.sum()), len(set(current.dates))) == (123, 56, 19)
    assert (len(ahead.rows), int(ahead.below.sum()), len(set(ahead.dates))) == (79, 15, 13)
    hours = current.rows["hours_apart"]
    assert round(hours.mean(), 2) == 0.66
    assert round(hours.abs().mean(), 2) == 16.27
    assert (hours.abs() <= 3).sum() == 27
    assert (hours < 0).sum() == 85
    assert round(ahead.rows["hours_apart"].mean() / 24, 2) == 7.92
    assert (current.last["has_last"].sum(), ahead.last["has_last"].sum()) == (115, 79)


def test_folds_of_the_protocol(erie) -> None:
    _, _, tasks = erie
    config = EvaluationConfig(shuffles=10)
    folds = {
        split: [(task, fold) for scope in scopes(tasks, split, config) for task, fold in scope.folds]
        for split in ("leave-station-out", "forward", "random-5")
    }
    assert {fold.name for _, fold in folds["leave-station-out"]} == {
        *("WE2", "WE4", "WE6", "WE8", "WE9", "WE12", "WE13", "WE16")
    }
    for name, n_forward in (("current", 87), ("ahead", 43)):
        assert sum(fold.test.size for task, fold in folds["forward"] if task == name) == n_forward
        assert sum(fold.test.size for task, fold in folds["random-5"] if task == name) == 10 * len(
            tasks[name].rows
        )


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_real_folds_are_clean(erie, split: str) -> None:
    """What the command will check before it trains, for every fold, context and pretraining."""
    patches, pixels, tasks = erie
    for task in tasks.values():
        audit_own_last_value(task)
    found = scopes(tasks, split, EvaluationConfig(shuffles=1))
    if split.startswith("leave-date-out"):
        assert len(found) == 5
    for scope in found:
        sources = blind_sources(patches, [pixels], scope)
        assert min(source.n_samples for source in sources) > 0
        test = patches.select(scope.test_patches)
        audit_spectra(sources, test, scope.test_times, split, purpose="pretraining")
        for name, fold in scope.folds:
            for context in ("none", "season+lab"):
                audit_labels(tasks[name], fold, training_rows(tasks[name], fold, context), context)
