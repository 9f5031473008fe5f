from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest

from spectm.data.matchups import current_matchups
from spectm.data.splits import Fold
from spectm.errors import ConfigError, LeakageError, TrainingError
from spectm.evaluation import folds, protocol
from spectm.evaluation.audit import audit_labels, audit_spectra
from spectm.evaluation.baselines import Baseline, make_baseline
from spectm.evaluation.folds import training_rows
from spectm.evaluation.protocol import run_protocol
from spectm.evaluation.run import EvaluationSettings
from spectm.evaluation.scopes import blind_sources, scopes, split_folds
from spectm.evaluation.study import MODELS, SPLITS, EvaluationConfig
from spectm.evaluation.task import Task
from spectm.training.pretrain import untrained
from spectm.training.pretraining_data import pretraining_data
from tests.study import FIRST, Study

WHOLE_DATES = ("leave-date-out", "leave-date-out-strict", "forward")
KEYS = ["task", "split", "model", "context", "seed"]


def as_datetime(time: np.datetime64) -> datetime:
    return time.astype("datetime64[us]").item()


def moments(table: pd.DataFrame) -> list[datetime]:
    columns = (table["sample_time"], table["overpass_time"])
    return [stamp.tz_localize(None).to_pydatetime() for column in columns for stamp in column]


def pixels(patches, row: int) -> set[tuple[float, ...]]:
    """Valid pixels of one patch as tuples of numbers."""
    grid = patches.Rrs[row].reshape(patches.n_bands, -1).T
    return {tuple(pixel.tolist()) for pixel in grid if not np.isnan(pixel).any()}


def scopes_of(study: Study, split: str, shuffles: int = 1):
    return scopes(study.tasks, split, EvaluationConfig(splits=(split,), shuffles=shuffles))


# What is asked for


def test_names_are_those_of_the_issue() -> None:
    assert set(MODELS) == {
        *("mean", "climatology", "persistence", "best-index", "ridge", "pls", "svr", "extra-trees"),
        *("gradient-boosting", "gp", "mlp", "spectm", "spectm-probe", "spectm-probe-hidden"),
        *("spectm-random-init", "spectm-random-mask", "spectm-no-reconstruction", "spectm-no-indices"),
        *("spectm-no-temporal", "spectm-blend", "blend-bands", "blend-indices", "blend-plain"),
    }
    assert set(SPLITS) == {*WHOLE_DATES, "random-5", "leave-station-out"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ("ridge", "rigde")}, "evaluation.models: 'rigde' is not one of mean, "),
        ({"splits": ("loo",)}, "evaluation.splits: 'loo'"),
        ({"tasks": ("now",)}, "evaluation.tasks: 'now' is not one of current, ahead"),
        ({"contexts": ("lab",)}, "evaluation.contexts: 'lab' is not one of none, season"),
        ({"seeds": 0}, "at least 1"),
        ({"ablation_seeds": 0}, "at least 1"),
        ({"shuffles": 0}, "at least 1"),
        ({"workers": 0}, "at least 1"),
        ({"flag_sets": 1}, "wanted 0 for none, or 2 or more; found 1"),
    ],
)
def test_unknown_names_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(**change)


# Scopes: what a pretraining may see


@pytest.mark.parametrize("split", SPLITS)
def test_scopes_hold_every_fold_once(study: Study, split: str) -> None:
    found = [
        (task, fold.repeat, fold.name, fold.test.tolist())
        for scope in scopes_of(study, split, 2)
        for task, fold in scope.folds
    ]
    wanted = [
        (name, fold.repeat, fold.name, fold.test.tolist())
        for name, task in study.tasks.items()
        for fold in split_folds(task, split, 2)
    ]
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize("split", SPLITS)
def test_every_row_is_tested_once_by_a_split(study: Study, split: str) -> None:
    for task in study.tasks.values():
        tested = np.concatenate([fold.test for fold in split_folds(task, split, 1)])
        rows = np.flatnonzero(task.dates >= "2024-07-08") if split == "forward" else np.arange(32)
        np.testing.assert_array_equal(np.sort(tested), rows)


def test_what_folds_share(study: Study) -> None:
    """Blocks of neighbouring dates for both tasks; a station; a shuffle."""
    date = [str(FIRST + 7 * week) for week in range(8)]
    blocks = [date[0:2], date[2:4], date[4:6], date[6:7], date[7:8]]
    for split in ("leave-date-out", "leave-date-out-strict"):
        found = [sorted({fold.name for _, fold in scope.folds}) for scope in scopes_of(study, split)]
        assert found == blocks
    found = [sorted({fold.name for _, fold in scope.folds}) for scope in scopes_of(study, "forward")]
    assert found == [[date[5]], [date[6]], [date[7]]]
    stations = scopes_of(study, "leave-station-out")
    assert [(scope.name, len(scope.folds)) for scope in stations] == [(name, 2) for name in "ABCD"]
    shuffles = scopes_of(study, "random-5", 3)
    assert [len(scope.folds) for scope in shuffles] == [10, 10, 10]
    assert [{fold.repeat for _, fold in scope.folds} for scope in shuffles] == [{0}, {1}, {2}]


def test_the_two_leave_date_out_splits_share_a_pretraining(study: Study) -> None:
    """They test the same rows, so that it is blind to the same; asked for alone, each has its own."""
    both = EvaluationConfig(splits=("forward", "leave-date-out-strict", "leave-date-out"))
    shared = scopes(study.tasks, "leave-date-out", both)
    alone = scopes_of(study, "leave-date-out")
    for one, two in zip(shared, alone, strict=True):
        assert len(one.folds) == 2 * len(two.folds)
        assert {fold.split for _, fold in one.folds} == {"leave-date-out", "leave-date-out-strict"}
        np.testing.assert_array_equal(np.unique(one.test_times), np.unique(two.test_times))
        np.testing.assert_array_equal(one.test_patches, two.test_patches)


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_a_pretraining_is_blind_to_every_fold_that_shares_it(study: Study, split: str) -> None:
    """One spectrum at a time, against every test row of the scope, with the clock of the standard library."""
    pixel_file = study.unlabelled[0]
    half_days = np.arange(180)
    often = replace(  # also between the test's overpass and its sample
        pixel_file.select(half_days),
        Rrs=pixel_file.Rrs[half_days] + np.float32(0.1),
        time=FIRST.astype("datetime64[ns]") + (half_days - 30) * np.timedelta64(12, "h"),
    )
    sources = (study.patches, pixel_file, often)
    buffer = timedelta(hours=60)
    n_left_out = 0
    for scope in scopes_of(study, split):
        tested = pd.concat([study.tasks[task].rows.iloc[fold.test] for task, fold in scope.folds])
        times = sorted(set(moments(tested)))
        secret = set().union(*(pixels(study.patches, row) for row in tested["patch"]))
        for source, found in zip(sources, blind_sources(sources[0], sources[1:], scope), strict=True):
            keep = []
            for row in range(source.n_samples):
                time = as_datetime(source.time[row])
                allowed = pixels(source, row).isdisjoint(secret)
                if split in WHOLE_DATES:
                    allowed &= all(abs(time - other) > buffer for other in times)
                if split == "forward":
                    allowed &= time < times[0]
                if split == "leave-station-out":
                    allowed &= source.station[row] != scope.name
                if allowed:
                    keep.append(row)
            n_left_out += source.n_samples - len(keep)
            np.testing.assert_array_equal(found.Rrs, source.Rrs[keep])
            np.testing.assert_array_equal(found.time, source.time[keep])
            np.testing.assert_array_equal(found.station, source.station[keep])
    assert n_left_out > 0


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_the_audit_agrees_on_spectra(study: Study, split: str) -> None:
    """What a pretraining may see passes; each spectrum that it may not see is refused by itself."""
    found = scopes_of(study, split, 2)
    assert len(found) == {"forward": 3, "leave-station-out": 4, "random-5": 2}.get(split, 5)
    for scope in found:
        sources = blind_sources(study.patches, study.unlabelled, scope)
        test = study.patches.select(scope.test_patches)
        of_scope = {"test": test, "test_times": scope.test_times, "split": split}
        audit = partial(audit_spectra, **of_scope, purpose="pretraining")
        audit(sources)
        for source, seen in zip((study.patches, *study.unlabelled), sources, strict=True):
            known = {spectrum_key(seen, row) for row in range(seen.n_samples)}
            left_out = [row for row in range(source.n_samples) if spectrum_key(source, row) not in known]
            held = [row for row in left_out if pixels(source, row)]  # an empty patch tells nothing
            assert held
            for row in held:
                with pytest.raises(LeakageError, match="would enter pretraining"):
                    audit([source.select([row])])


def spectrum_key(patches, row: int) -> tuple[str, bytes, bytes]:
    return patches.station[row], patches.time[row].tobytes(), patches.Rrs[row].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_the_audit_agrees_on_labels(study: Study, split: str) -> None:
    """Training rows pass; a tested one, one too near, or one with a test label among its inputs does not."""
    refused = dict.fromkeys(("tested", "near", "last"), 0)
    for task in study.tasks.values():
        for fold in split_folds(task, split, 2):
            for context in ("none", "season", "season+lab"):
                audit_labels(task, fold, training_rows(task, fold, context), context)
            kept = training_rows(task, fold, "season+lab")
            left_out = {
                "tested": (fold.test, "none", "a training target"),
                "near": (too_near(task, fold), "none", "within 60 h"),
                "last": (np.setdiff1d(fold.train, kept), "season+lab", "the last value"),
            }
            for why, (rows, context, message) in left_out.items():
                refused[why] += len(rows)
                for row in rows:
                    with pytest.raises(LeakageError, match=message):
                        audit_labels(task, fold, np.array([row]), context)
    # All 32 rows of both tasks in turn, twice if shuffled; forward the last three dates. Too near: four rows
    # of a neighbouring week, of one or both. A last value is a week old; eight days ahead, two weeks.
    wanted = {"leave-date-out": [64, 28], "leave-date-out-strict": [64, 56], "random-5": [128, 0]}
    wanted |= {"leave-station-out": [64, 0], "forward": [24, 20]}
    assert [refused["tested"], refused["near"]] == wanted[split]
    if split.startswith("leave-date-out"):
        assert refused["last"] == 28 + 24
    else:  # forward never trains on what came after the test, and a station's last value is its own
        assert (refused["last"] > 0) is (split == "random-5")


def too_near(task: Task, fold: Fold) -> np.ndarray:
    """Eight days ahead, an overpass is of the day before last week's sample; no other dates are near."""
    weeks = {"leave-date-out": [1], "leave-date-out-strict": [-1, 1], "forward": [-1, 1]}.get(fold.split, [])
    dates = [str(np.datetime64(fold.name) + 7 * week) for week in weeks]
    return np.flatnonzero(np.isin(task.dates, dates)) if task.name == "ahead" else np.arange(0)


def test_neighbours_lose_the_pixel_that_they_share(study: Study) -> None:
    """Leaving station C out costs D its patches, which hold a pixel of C's, and the pixel file that pixel."""
    scope = scopes_of(study, "leave-station-out")[2]
    patches, pixel_file = blind_sources(study.patches, study.unlabelled, scope)
    assert scope.name == "C"
    assert set(patches.station) == {"A", "B"}
    secret = {bytes(study.patches.Rrs[row, :, 2, 2]) for row in scope.test_patches}
    assert secret.isdisjoint({bytes(pixel) for pixel in pixel_file.Rrs[:, :, 0, 0]})


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_test_spectra_do_not_move_the_normalisation(study: Study, tiny_settings, split: str) -> None:
    """Tested pixels, wherever they occur, are made brighter."""
    scope = scopes_of(study, split)[-1]
    secret = set().union(*(pixels(study.patches, row) for row in scope.test_patches))

    def brighter(source):
        Rrs = source.Rrs.copy()
        for row, y, x in zip(*np.nonzero(source.valid), strict=True):
            if tuple(Rrs[row, :, y, x].tolist()) in secret:
                Rrs[row, :, y, x] *= 50
        return replace(source, Rrs=Rrs)

    before, after = (
        untrained(
            pretraining_data(blind_sources(patches, unlabelled, scope)), tiny_settings, seed=0
        ).encoder.statistics
        for patches, unlabelled in (
            (study.patches, study.unlabelled),
            (brighter(study.patches), [brighter(source) for source in study.unlabelled]),
        )
    )
    np.testing.assert_array_equal(before.centre, after.centre)
    np.testing.assert_array_equal(before.scale, after.scale)


# Training rows


@pytest.mark.parametrize("name", ["current", "ahead"])
@pytest.mark.parametrize("split", SPLITS)
def test_training_rows_of_each_context(study: Study, split: str, name: str) -> None:
    task = study.tasks[name]
    shorter = 0
    for fold in split_folds(task, split, 1):
        for context in ("none", "season"):
            np.testing.assert_array_equal(training_rows(task, fold, context), fold.train)
        tested_dates = {task.rows["date"][row] for row in fold.test}
        tested_samples = {task.rows["sample_id"][row] for row in fold.test}
        wanted = [
            row
            for row in fold.train
            if not (
                task.last["last_date"][row] in tested_dates
                if split in WHOLE_DATES
                else task.last["last_sample_id"][row] in tested_samples
            )
        ]
        np.testing.assert_array_equal(training_rows(task, fold, "season+lab"), wanted)
        shorter += len(fold.train) - len(wanted)
    # Forward never trains on what came after the test, and a station's last value is its own.
    assert (shorter > 0) is (split not in ("forward", "leave-station-out"))


# The whole protocol


def run(study: Study, settings: EvaluationSettings, **changes):
    config = replace(settings.evaluation, **changes)
    found = run_protocol(study.patches, study.labels, study.unlabelled, settings, config, progress=False)
    return found.tasks, found.predictions, found.curves


def assert_each_row_predicted_once(tasks, predictions: pd.DataFrame) -> None:
    for key, group in predictions.groupby([*KEYS, "repeat"]):
        task = tasks[key[0]]
        rows = np.flatnonzero(task.dates >= "2024-07-08") if key[1] == "forward" else np.arange(32)
        assert sorted(group["row"]) == rows.tolist(), key
        if key[1] in WHOLE_DATES:
            assert (group["fold"] == task.dates[group["row"]]).all()
        if key[1] == "leave-station-out":
            assert (group["fold"] == task.rows["station"].iloc[group["row"]].to_numpy()).all()
    assert np.isfinite(predictions[["mean", "spread"]]).all(axis=None)
    assert (predictions["spread"] > 0).all()


@pytest.mark.slow
def test_a_small_run(study: Study, tiny_settings: EvaluationSettings) -> None:
    tasks, predictions, curves = run(
        study,
        tiny_settings,
        tasks=("current",),
        splits=("leave-date-out", "forward"),
        models=("mean", "climatology", "ridge", "spectm", "spectm-random-init"),
        contexts=("season",),
    )
    assert list(tasks) == ["current"]
    assert_each_row_predicted_once(tasks, predictions)
    found = set(predictions[["split", "model", "context"]].itertuples(index=False, name=None))
    of_split = {("mean", "none"), ("climatology", "season"), ("ridge", "season"), ("spectm", "season")}
    assert found == {(split, *pair) for split in ("leave-date-out", "forward") for pair in of_split} | {
        ("leave-date-out", "spectm-random-init", "none")
    }
    task = tasks["current"]
    of = predictions.set_index(["split", "model", "context"]).sort_index()
    climatology = of.loc[("leave-date-out", "climatology", "season")].sort_values("row")
    np.testing.assert_allclose(climatology["mean"], task.climatology)
    for _, line in of.loc[("leave-date-out", "mean", "none")].iterrows():
        # Samples of other weeks lie at least a week away, so that only the date itself is left out.
        assert line["mean"] == pytest.approx(task.y[task.dates != line["fold"]].mean())
    for _, line in of.loc[("forward", "mean", "none")].iterrows():
        assert line["mean"] == pytest.approx(task.y[task.dates < line["fold"]].mean())
    assert set(curves["model"]) == {"spectm"}  # nothing was pretrained for the other
    scope_names = {
        "leave-date-out": [f"block {i}" for i in range(5)],
        "forward": [f"block {i}" for i in (2, 3, 4)],
    }
    for split, names in scope_names.items():
        assert sorted(set(curves.loc[curves["split"] == split, "scope"])) == names
    assert curves["step"].max() == 2
    assert {"loss", "validation", "learning_rate", "reconstruction", "indices", "temporal"} <= set(curves)


@pytest.mark.slow
def test_references_run_in_their_own_context_alone(study: Study, tiny_settings) -> None:
    models = ("mean", "climatology", "persistence", "pls")
    tasks, predictions, curves = run(
        study, tiny_settings, splits=("leave-station-out",), models=models, contexts=("season",)
    )
    assert_each_row_predicted_once(tasks, predictions)
    assert set(predictions[["model", "context"]].itertuples(index=False, name=None)) == {
        ("mean", "none"),
        ("climatology", "season"),
        ("persistence", "season+lab"),
        ("pls", "season"),
    }
    assert curves.empty


@pytest.mark.slow
def test_the_labels_of_a_test_date_can_be_anything(study: Study, tiny_settings) -> None:
    """Labels of one date are replaced: its own predictions stay as they were, and no others do."""
    models = ("mean", "ridge", "spectm-probe")
    options = {"splits": ("leave-date-out",), "models": models, "contexts": ("none",)}
    _, before, _ = run(study, tiny_settings, tasks=("current",), **options)
    table = study.labels.table.copy()
    date = "2024-06-24"
    table.loc[table["date"] == date, "microcystin"] = 500.0
    changed = replace(study, labels=replace(study.labels, table=table))
    _, after, _ = run(changed, tiny_settings, tasks=("current",), **options)
    same = before["fold"] == date
    np.testing.assert_array_equal(before.loc[same, "mean"], after.loc[same, "mean"])
    assert (before.loc[~same, "mean"] != after.loc[~same, "mean"]).all()


# Injected leaks


def everything(patches, unlabelled, scope):
    return [patches, *unlabelled]


def all_but_the_pixel_file(patches, unlabelled, scope):
    return [*blind_sources(patches, (), scope), *unlabelled]


LEAKY_SPECTRA = [
    (everything, "spectm", "leave-date-out"),
    (everything, "spectm-random-init", "leave-date-out"),  # not pretrained, but normalised
    (everything, "spectm-probe", "random-5"),
    (everything, "spectm", "forward"),
    (all_but_the_pixel_file, "spectm", "leave-date-out"),
    (all_but_the_pixel_file, "spectm", "leave-station-out"),
]


@pytest.mark.parametrize(("leaky", "model", "split"), LEAKY_SPECTRA)
def test_leaky_sources_stop_the_run(study, tiny_settings, monkeypatch, leaky, model: str, split: str) -> None:
    monkeypatch.setattr(protocol, "blind_sources", leaky)
    with pytest.raises(LeakageError, match="would enter pretraining and normalisation"):
        run(study, tiny_settings, splits=(split,), models=(model,), contexts=("none",))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mean", "ridge", "spectm-probe"])
def test_leaky_rows_stop_the_run(study, tiny_settings, monkeypatch, model: str) -> None:
    monkeypatch.setattr(folds, "training_rows", lambda task, fold, context: np.arange(len(task.rows)))
    with pytest.raises(LeakageError, match="a training target"):
        run(study, tiny_settings, splits=("random-5",), models=(model,), contexts=("none",))


@pytest.mark.slow
def test_leaky_last_values_stop_the_run(study, tiny_settings, monkeypatch) -> None:
    monkeypatch.setattr(folds, "training_rows", lambda task, fold, context: fold.train)
    options = {"splits": ("leave-date-out",), "models": ("ridge",), "tasks": ("current",)}
    run(study, tiny_settings, **options, contexts=("season",))
    with pytest.raises(LeakageError, match="last value"):
        run(study, tiny_settings, **options, contexts=("season+lab",))


def test_a_target_among_its_inputs_stops_the_run(study, tiny_settings, monkeypatch) -> None:
    """The last value before the overpass, which the protocol warns of: often the target itself."""

    def own_value(rows, surface_table):
        last = study.tasks["current"].last.copy()
        last["last_sample_id"], last["last_date"] = rows["sample_id"], rows["date"]
        return last

    monkeypatch.setattr("spectm.evaluation.task.last_values", own_value)
    with pytest.raises(LeakageError, match="its own last laboratory value"):
        run(study, tiny_settings, tasks=("current",), models=("mean",), splits=("random-5",))


@pytest.mark.slow
def test_random_five_without_unlabelled_spectra(study: Study, tiny_settings) -> None:
    """A shuffle tests every patch but an empty one, so that its folds have a pretraining each."""
    alone = replace(study, unlabelled=())
    tasks, predictions, curves = run(
        alone, tiny_settings, splits=("random-5",), models=("spectm",), contexts=("none",), shuffles=2
    )
    assert_each_row_predicted_once(tasks, predictions)
    assert set(curves["scope"]) == {
        f"shuffle {shuffle}, fold {fold}" for shuffle in (0, 1) for fold in range(5)
    }


@pytest.mark.slow
def test_one_shared_pixel_leaves_nothing_to_learn_from(study: Study, tiny_settings, monkeypatch) -> None:
    """The run says so, and what to do, before the baselines are computed."""
    Rrs = study.patches.Rrs.copy()
    Rrs[:, :, 0, 0] = Rrs[0, :, 0, 0]
    alone = replace(study, patches=replace(study.patches, Rrs=Rrs), unlabelled=())
    monkeypatch.setattr(protocol, "fold_lines", lambda *arguments: pytest.fail("something was computed"))
    for split, scope in (("random-5", "shuffle 0"), ("leave-station-out", "A")):
        with pytest.raises(
            TrainingError, match=rf"{split}, {scope}: .* of 64 patches and 0 .*--unlabelled FILE"
        ):
            run(alone, tiny_settings, splits=(split,), models=("mean", "spectm"), contexts=("none",))


@pytest.mark.slow
def test_splits_for_comparison_pretrain_with_the_first_seed_alone(study: Study, tiny_settings) -> None:
    splits = ("leave-date-out-strict", "random-5")
    options = {"models": ("spectm-probe",), "contexts": ("none",), "tasks": ("current",)}
    _, predictions, curves = run(study, tiny_settings, splits=splits, seeds=2, **options)
    for table in (predictions, curves):
        assert set(table["split"]) == set(splits)
        assert set(table["seed"]) == {0}


# All of it, slowly


@pytest.mark.slow
def test_a_whole_run(study: Study, tiny_settings: EvaluationSettings) -> None:
    tasks, predictions, _ = run(
        study,
        tiny_settings,
        models=("mean", "climatology", "ridge", "spectm", "spectm-probe", "spectm-random-init"),
        contexts=("none", "season"),
        seeds=2,
        shuffles=2,
        workers=2,
    )
    assert_each_row_predicted_once(tasks, predictions)
    found = predictions.groupby(["task", "split", "model", "context"])["seed"].unique().map(set)
    repeats = predictions.groupby("split")["repeat"].nunique().to_dict()
    assert repeats == {split: 2 if split == "random-5" else 1 for split in SPLITS}
    for task in ("current", "ahead"):
        for split in SPLITS:
            seeds = {0} if split in ("random-5", "leave-date-out-strict") else {0, 1}
            for model in ("spectm", "spectm-probe"):
                assert found.loc[(task, split, model, "none")] == seeds
                seasonal = (task, split, model, "season") in found.index
                assert seasonal is (split != "random-5" or model == "spectm-probe")
            for context in ("none", "season"):
                assert found.loc[(task, split, "ridge", context)] == {0}
            assert found.loc[(task, split, "mean", "none")] == {0}
            assert found.loc[(task, split, "climatology", "season")] == {0}
            assert ((task, split, "spectm-random-init", "none") in found.index) is (split == "leave-date-out")
        assert found.loc[(task, "leave-date-out", "spectm-random-init", "none")] == {0}
    # Two references, ridge and two models in two contexts, fine-tuning in one of shuffled rows; random-init.
    assert len(found) == 2 * (5 * (2 + 2) + 4 * 4 + 3 + 1)


@pytest.mark.slow
def test_equal_folds_are_learned_once(study: Study, tiny_settings, monkeypatch) -> None:
    """Each sample of the miniature is a week from the next, so that both splits leave out the same rows."""
    fitted = []
    fit = Baseline.fit

    def counted(self, task, train):
        fitted.append((task.name, self.context))
        return fit(self, task, train)

    monkeypatch.setattr(Baseline, "fit", counted)
    splits = ("leave-date-out", "leave-date-out-strict")
    options = {"models": ("ridge",), "contexts": ("none", "season"), "tasks": ("current",)}
    _, both, _ = run(study, tiny_settings, splits=splits, **options)
    assert len(fitted) == 2 * 8
    alone = pd.concat([run(study, tiny_settings, splits=(split,), **options)[1] for split in splits])
    keys = ["split", "context", "row"]
    one, other = (table.sort_values(keys, ignore_index=True) for table in (both, alone))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_another_training_part_is_another_answer(study: Study) -> None:
    task = study.tasks["current"]
    known: folds.Known = {}
    of_mean = partial(make_baseline, "mean", "none", seed=0)
    rows = np.arange(32)
    for n in (12, 16, 12):
        fold = Fold(name="x", split="random-5", repeat=0, train=rows[:n], test=rows[28:30])
        first, _ = folds.fold_lines(task, fold, "mean", "none", 0, of_mean, known=known)
        assert first["mean"] == pytest.approx(task.y[:n].mean())
    assert len(known) == 2


@pytest.mark.slow
def test_workers_do_not_matter(study: Study, tiny_settings: EvaluationSettings) -> None:
    options = {"models": ("ridge", "spectm", "spectm-random-mask"), "contexts": ("season",)}
    options["splits"] = ("leave-date-out", "random-5")
    _, *one = run(study, tiny_settings, **options, workers=1)
    _, *two = run(study, tiny_settings, **options, workers=2)
    for table, other in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(table, other, check_exact=True)


def test_rows_are_pairs_of_the_record(study: Study) -> None:
    """The miniature is what it says: 32 rows of 8 dates, of either task."""
    for name, hours in (("current", -3.5), ("ahead", 188.5)):
        task = study.tasks[name]
        assert task.rows["hours_apart"].median() == pytest.approx(hours, abs=0.05)
        assert (len(task.rows), np.unique(task.dates).size) == (32, 8)
    assert len(current_matchups(study.patches, study.labels)) == 32
