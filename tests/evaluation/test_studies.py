"""Ablation and label efficiency on the miniature: resumed, paired, counted."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from spectm.data.splits import leave_date_out
from spectm.errors import ConfigError, ReportError
from spectm.evaluation import ablation, jobs, protocol
from spectm.evaluation.ablation import ABLATED, REFERENCE, SOURCES, AblationConfig, ablate, compared
from spectm.evaluation.baselines import make_baseline
from spectm.evaluation.blends import BLENDS
from spectm.evaluation.jobs import keep_identity, run_jobs
from spectm.evaluation.label_curves import curves, equal_labels, labels_needed
from spectm.evaluation.label_efficiency import (
    COMPARED,
    LabelConfig,
    chosen_rows,
    label_efficiency,
    label_ranks,
    sizes,
)
from spectm.evaluation.scores import draw_weights, interval_of, r2
from spectm.evaluation.study import headline_study
from spectm.training.settings import Settings
from tests.study import Study


@pytest.fixture
def settings(tiny_settings) -> Settings:
    names = ("encoder", "pretraining", "finetuning")
    return Settings(**{name: getattr(tiny_settings, name) for name in names})


@pytest.fixture
def whole(study: Study, settings: Settings):
    return headline_study(study.patches, study.labels, study.unlabelled, settings, tuple(study.tasks))


@pytest.fixture
def of_sources(whole):
    """With a simulated lake of twice the reflectance, at the very times that are tested."""
    return replace(whole, simulated=(replace(whole.patches, Rrs=2 * whole.patches.Rrs, simulated=True),))


# Jobs


def lines_of(name: str, number: float) -> list[dict[str, object]]:
    return [{"name": name, "fold": "2024-06-03", "number": number / 3}]


def fail() -> list[dict[str, object]]:
    raise KeyboardInterrupt


def test_what_is_there_is_not_run_again(tmp_path) -> None:
    work = {name: partial(lines_of, name, i) for i, name in enumerate("abc")}
    run = partial(run_jobs, out=tmp_path, workers=1, doing="testing", progress=False)
    with pytest.raises(KeyboardInterrupt, match="after 1 of 3 jobs; the same command goes on"):
        run({**work, "b": fail})
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["a.csv"]
    (tmp_path / "jobs" / "a.csv").write_text("name,fold,number\nold,NA,7\n", encoding="utf-8")
    table = run(work)
    assert table["name"].tolist() == ["old", "b", "c"]
    assert table["fold"].tolist() == ["NA", "2024-06-03", "2024-06-03"]
    pd.testing.assert_frame_equal(run(dict.fromkeys(work, fail)), table, check_exact=True)


def test_a_damaged_result_is_named(tmp_path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.csv").write_text("", encoding="utf-8")
    with pytest.raises(ReportError, match=r"a\.csv is damaged: .* Delete it"):
        run_jobs({"a": fail}, tmp_path, workers=1, doing="testing", progress=False)


def test_another_study_is_refused(tmp_path) -> None:
    keep_identity(tmp_path, {"settings": {"seed": 1, "ranges": ()}, "tasks": ("current",)})
    keep_identity(tmp_path, {"settings": {"seed": 1, "ranges": ()}, "tasks": ("current",)})
    with pytest.raises(ConfigError, match=r"another study: settings\.seed differ\. Give another --out"):
        keep_identity(tmp_path, {"settings": {"seed": 2, "ranges": ()}, "tasks": ("current",)})
    (tmp_path / jobs.IDENTITY).write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="wanted the identity of a study"):
        keep_identity(tmp_path, {})


# Ablation


def test_variants_change_one_thing(settings: Settings) -> None:
    found = {name: variant.change(settings) for name, variant in ABLATED.items()}
    assert len(found) == 12
    for name, changed in found.items():
        masking, objective = changed.masking, changed.objective
        assert replace(changed, masking=settings.masking, objective=settings.objective) == settings
        strategy = name if name in ("random", "block", "mixed", "none") else "targeted"
        assert masking == replace(settings.masking, strategy=strategy)
        on = {task for task in ("reconstruction", "indices", "temporal") if getattr(objective, task) == 1.0}
        if name.startswith("without-"):
            assert on == {"reconstruction", "indices", "temporal"} - {name.removeprefix("without-")}
        elif name.startswith("only-"):
            assert on == {name.removeprefix("only-")}
        else:
            assert len(on) == 3
    assert [name for name, variant in ABLATED.items() if not variant.pretrained] == ["no-pretraining"]


def test_other_settings_are_the_reference_but_for_what_they_say(whole, settings) -> None:
    tries = ("masking.strategy=block", "pretraining.loop.steps=7; encoder.depth=3")
    variants = ablation._variants(whole, AblationConfig(tries=tries))
    assert list(variants) == [REFERENCE, *tries]
    started = replace(settings, masking=replace(settings.masking, strategy="random", guard_nm=5.0))
    one, other = (variants[text].change(started) for text in tries)
    assert one == replace(started, masking=replace(started.masking, strategy="block"))
    assert other.masking.strategy == "targeted"
    assert (other.pretraining.loop.steps, other.encoder.depth, other.masking.guard_nm) == (7, 3, 5.0)
    assert other.encoder.width == settings.encoder.width


def test_settings_and_sources_are_compared_one_by_one(of_sources) -> None:
    with pytest.raises(ConfigError, match="found both: run one first"):
        ablation._variants(of_sources, AblationConfig(tries=("encoder.depth=3",)))


def test_differences_are_paired_over_seeds(whole) -> None:
    """Seed 1 is worse for both by as much as for the reference, so that the difference is the same."""
    task = whole.tasks["current"]
    n = len(task.rows)
    parts = []
    for variant, shift in ((REFERENCE, 0.0), ("random", 0.2)):
        for seed in range(3):
            mean = np.maximum(task.y + np.sqrt(0.1 + 0.1 * seed + shift), -0.9)
            part = {"variant": variant, "seed": seed, "head": "probe", "task": "current"}
            parts.append(pd.DataFrame({**part, "row": np.arange(n), "mean": mean}))
    shuffled = pd.concat(parts).sample(frac=1, random_state=0).sort_values("variant", ascending=False)
    table = compared(whole, shuffled).set_index("variant")
    total = ((task.y - task.y.mean()) ** 2).sum()
    assert table.loc["random", "difference"] == pytest.approx(0.2 * n / total)
    assert table.loc[REFERENCE, "r2"] == pytest.approx(1 - 0.2 * n / total)
    assert table.loc["random", "r2"] == pytest.approx(1 - 0.4 * n / total)
    assert table["n_seeds"].tolist() == [3, 3]
    assert np.isnan(table.loc[REFERENCE, "difference"])
    # The gap is the same with every seed, so that the dates alone make the interval.
    first = (shuffled[shuffled["seed"] == 0].pivot(index="variant", columns="row", values="mean")).loc
    weights = draw_weights(task.dates)
    one, other = (r2(task.y, first[name].to_numpy(), weights) for name in (REFERENCE, "random"))
    alone = interval_of(one - other)
    assert table.loc["random", ["low", "high"]].tolist() == pytest.approx([alone.low, alone.high])


def test_sources_are_what_their_names_say(of_sources, settings, fabric, monkeypatch) -> None:
    """Real ones keep 60 h away from what is tested; the simulated lake goes in whole, or not at all."""
    handed = []
    monkeypatch.setattr(protocol, "pretraining_data", handed.append)
    monkeypatch.setattr(protocol, "untrained", lambda data, settings, seed: None)
    monkeypatch.setattr(protocol, "pretrain", lambda fabric, sources, settings, seed: handed.append(sources))
    scope = next(iter(ablation.trainable_scopes(of_sources, "leave-date-out")))
    for variant in SOURCES.values():
        try:
            protocol.blind_pretraining(of_sources, scope, 0, variant, settings, fabric)
        except AttributeError:  # of the model that was not trained
            assert variant.pretrained
    real, both, simulated, none = handed
    sizes_of = [[source.n_samples for source in sources] for sources in handed]
    assert sizes_of[0] == sizes_of[3] == sizes_of[1][:2]
    assert all(
        kept < source.n_samples for kept, source in zip(sizes_of[0], of_sources.unlabelled, strict=False)
    )
    for source in (*real, *both[:2], *none):
        apart = np.abs(source.time[:, None] - scope.test_times)
        assert (apart > np.timedelta64(60, "h")).all()
        assert not source.simulated
    assert len(both) == 3
    assert both[2] is simulated[0] is of_sources.simulated[0]
    assert len(simulated) == 1
    assert [list(SOURCES)[i] for i, sources in enumerate(handed) if any(s.simulated for s in sources)] == [
        "real-and-simulated", "simulated"
    ]  # fmt: skip


@pytest.mark.slow
def test_normalisation_is_of_the_sources(of_sources, settings, fabric) -> None:
    whole = replace(settings, pretraining=replace(settings.pretraining, validation_share=0.0))
    scope = next(iter(ablation.trainable_scopes(of_sources, "leave-date-out")))
    centre = {
        name: protocol.blind_pretraining(of_sources, scope, 0, SOURCES[name], whole, fabric)[0]
        .encoder.statistics.centre
        for name in ("real", "real-and-simulated", "simulated")
    }  # fmt: skip
    patches = of_sources.patches
    both = zip(patches.Rrs, patches.valid, strict=True)
    seen = [2 * Rrs[:, valid].mean(axis=1) for Rrs, valid in both if valid.any()]
    np.testing.assert_allclose(centre["simulated"], np.median(seen, axis=0), rtol=1e-3)
    assert (centre["simulated"] > 1.5 * centre["real"]).all()
    assert (centre["real"] < centre["real-and-simulated"]).all()
    assert (centre["real-and-simulated"] < centre["simulated"]).all()


def test_sources_are_held_against_none_as_well(of_sources) -> None:
    task = of_sources.tasks["current"]
    shift = {"real": 0.2, "real-and-simulated": 0.1, "simulated": 0.3, "no-pretraining": 0.5}
    parts = []
    for variant, squared in shift.items():
        mean = np.maximum(task.y + np.sqrt(squared), -0.9)
        part = {"variant": variant, "seed": 0, "head": "probe", "task": "current"}
        parts.append(pd.DataFrame({**part, "row": np.arange(len(task.rows)), "mean": mean}))
    table = compared(of_sources, pd.concat(parts)).set_index(["variant", "reference"])
    unit = len(task.rows) / ((task.y - task.y.mean()) ** 2).sum()
    found = table["difference"].dropna()
    assert found.to_dict() == pytest.approx({
        ("real-and-simulated", "real"): -0.1 * unit,
        ("simulated", "real"): 0.1 * unit,
        ("no-pretraining", "real"): 0.3 * unit,
        ("real-and-simulated", "no-pretraining"): -0.4 * unit,
    })  # fmt: skip


def few_variants(monkeypatch) -> None:
    kept = {name: ABLATED[name] for name in (REFERENCE, "none", "no-pretraining")}
    monkeypatch.setattr(ablation, "ABLATED", kept)


@pytest.mark.slow
def test_an_interrupted_ablation_ends_the_same(study, settings, tmp_path, monkeypatch) -> None:
    few_variants(monkeypatch)
    given = (study.patches, study.labels, study.unlabelled, settings)
    options = {"identity": {"files": ["a"]}, "progress": False}
    config = AblationConfig(seeds=1, workers=1)
    straight = ablate(*given, config, tmp_path / "one", **options)
    files = sorted((tmp_path / "one" / "jobs").iterdir())
    assert len(files) == 5 * 3
    assert files[0].name == "block-0.no-pretraining.0.csv"
    for path in files[::2]:
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in files[1::2]}
    again = ablate(*given, config, tmp_path / "one", **options)
    pd.testing.assert_frame_equal(straight, again, check_exact=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    read = pd.read_csv(tmp_path / "one" / "ablation.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(read, again, rtol=1e-5)
    assert set(again["variant"]) == {REFERENCE, "none", "no-pretraining"}
    assert len(again) == 2 * 2 * 3
    with pytest.raises(ConfigError, match="files differ"):
        ablate(*given, config, tmp_path / "one", identity={"files": ["b"]}, progress=False)
    assert again["r2"].notna().all()


@pytest.mark.slow
def test_every_variant_can_be_pretrained(whole, of_sources) -> None:
    scope = next(iter(ablation.trainable_scopes(whole, "leave-date-out")))
    means = {}
    for one, names in ((whole, ABLATED), (of_sources, SOURCES)):
        for name, variant in names.items():
            lines = pd.DataFrame(ablation._job(one, scope, name, variant, 0))
            assert np.isfinite(lines["mean"]).all(), name
            assert set(lines["head"]) == {"probe", "blend"}
            means[name] = lines["mean"].to_numpy()
    np.testing.assert_array_equal(means["real"], means[REFERENCE])
    assert not np.allclose(means["real-and-simulated"], means["real"])


@pytest.mark.slow
def test_workers_do_not_matter(study, settings, tmp_path) -> None:
    given = (study.patches, study.labels, study.unlabelled, settings)
    models = ("spectm-blend", "ridge")
    config = LabelConfig(seeds=1, draws=1, smallest=20, models=models, tasks=("current",), workers=1)
    one, equal = label_efficiency(*given, config, tmp_path / "1", identity={}, progress=False)
    two, same = label_efficiency(
        *given, replace(config, workers=2), tmp_path / "2", identity={}, progress=False
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    pd.testing.assert_frame_equal(equal, same, check_exact=True)
    names = [path.name for path in (tmp_path / "1" / "jobs").iterdir()]
    assert sorted(names) == sorted(f"block-{b}.{n}.csv" for b in range(5) for n in ("spectm.0", "ridge.0"))
    assert set(one["size"]) == {"0", "20", "all"}
    assert set(one["by"]) == {"dates", "rows"}
    counted = one.groupby(["size", "by"])["labels"].agg(["min", "max"])
    assert counted.loc[("20", "rows")].tolist() == [20, 20]
    assert counted.loc[("20", "dates")].tolist() == [20, 20]  # five dates of four stations
    assert counted.loc["all"].to_numpy() == pytest.approx(28, abs=0.5)
    assert set(one.loc[one["size"] == "20", "n_draws"]) == {1}
    assert set(equal["model"]) == {"spectm-blend", "spectm-blend-embedding", "spectm-probe"}
    assert set(equal["baseline"]) == {"ridge"}


@pytest.mark.slow
def test_every_baseline_runs_on_ten_rows(whole) -> None:
    plain = [name for name in COMPARED if not name.startswith("spectm") and name not in BLENDS]
    assert len(plain) == 9
    task = whole.tasks["ahead"]
    for by in ("dates", "rows"):
        train = chosen_rows(label_ranks(whole, 0, by)(task, np.arange(len(task.rows))), task.dates, 10)
        for name in plain:
            mean, _ = (
                make_baseline(name, "season" if name != "mean" else "none", 0)
                .fit(task, train)
                .predict(task, np.arange(4))
            )
            assert np.isfinite(mean).all(), name


# Drawing labels


def test_draws_are_nested_and_the_same_for_both_tasks(whole) -> None:
    current, ahead = whole.tasks["current"], whole.tasks["ahead"]
    for by in ("dates", "rows"):
        rank = label_ranks(whole, 3, by)
        everything = {task.name: rank(task, np.arange(len(task.rows))) for task in (current, ahead)}
        samples = [
            dict(zip(task.rows["sample_id"], everything[task.name], strict=True)) for task in (current, ahead)
        ]
        shared = samples[0].keys() & samples[1].keys()
        assert len(shared) > 10
        assert {s: samples[0][s] for s in shared} == {s: samples[1][s] for s in shared}
        small, large = (set(chosen_rows(everything["current"], current.dates, size)) for size in (10, 20))
        assert small < large
        assert (label_ranks(whole, 4, by)(current, np.arange(32)) != everything["current"]).any()
    dates, counts = np.unique(current.dates[list(small)], return_counts=True)
    assert dates.size > 3
    assert counts.sum() == 10


def test_whole_dates_are_whole(whole) -> None:
    task = whole.tasks["current"]
    rows = leave_date_out(task.rows)[0].train
    chosen = rows[chosen_rows(label_ranks(whole, 0, "dates")(task, rows), task.dates[rows], 10)]
    for date in set(task.dates[chosen]):
        assert (task.dates[chosen] == date).sum() == (task.dates[rows] == date).sum()
    assert chosen.size == 12


def test_two_dates_at_least() -> None:
    dates = np.array(["a", "a", "a", "b", "c"])
    np.testing.assert_array_equal(chosen_rows(np.array([0.0, 1, 2, 3, 4]), dates, 2), [0, 1, 2, 3])
    np.testing.assert_array_equal(chosen_rows(np.zeros(5), np.repeat("a", 5), 2), np.arange(5))
    np.testing.assert_array_equal(chosen_rows(np.arange(5.0), dates, 99), np.arange(5))


def test_sizes_double_below_the_smallest_training_part(study: Study) -> None:
    assert sizes(study.tasks["current"], 3) == [3, 6, 12, 24]
    assert sizes(study.tasks["current"], 40) == []


def test_settings_that_can_not_be() -> None:
    with pytest.raises(ConfigError, match="'spectm' is not one of spectm-blend"):
        LabelConfig(models=("spectm",))
    with pytest.raises(ConfigError, match="found 10 seeds, 0 draws"):
        LabelConfig(draws=0)
    with pytest.raises(ConfigError, match="found 0 and 2"):
        AblationConfig(seeds=0)


# Curves


def curve_lines(task, levels: dict[tuple[str, str], tuple[float, ...]]) -> pd.DataFrame:
    """Models whose squared error is a share of the variance, so that R2 is one minus it in each draw."""
    parts = []
    n = len(task.rows)
    away = np.sign(task.y - task.y.mean())
    for (model, size), errors in levels.items():
        for draw, error in enumerate(errors):
            # Away from the floor of 0.1 ug/L only upwards counts.
            mean = task.y + np.sqrt(error * task.y.var()) * np.where(task.y < -0.5, 1, away)
            named = {"task": "current", "model": model, "context": "none", "draw": draw, "size": size}
            named |= {"by": "all" if size == "all" else "rows", "labels": 28 if size == "all" else int(size)}
            parts.append(pd.DataFrame({**named, "row": np.arange(n), "mean": mean}))
    return pd.concat(parts)


def test_curves_and_labels_to_equal_a_baseline(whole) -> None:
    task = whole.tasks["current"]
    lines = curve_lines(
        task,
        {
            ("spectm-blend", "7"): (0.7, 0.5),
            ("spectm-blend", "14"): (0.3, 0.1),
            ("spectm-blend", "all"): (0.1, 0.1),
            ("ridge", "7"): (0.9, 0.9),
            ("ridge", "all"): (0.4,),
            ("svr", "all"): (0.6,),
        },
    )
    table = curves(whole.tasks, lines).set_index(["model", "size"])
    assert table.loc[("spectm-blend", "7"), "r2"] == pytest.approx(0.4)
    assert table.loc[("spectm-blend", "14"), ["r2", "n_draws", "labels"]].tolist() == pytest.approx(
        [0.8, 2, 14]
    )
    # R2 of every draw of dates is not known beforehand, but seeds widen the interval of a mean of two.
    wide, narrow = table.loc[("spectm-blend", "14")], table.loc[("spectm-blend", "all")]
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]
    floor = float(r2(task.y, np.maximum(task.climatology, -1), np.ones(len(task.y))))
    assert table.loc[("climatology", "0"), "r2"] == pytest.approx(floor)
    (line,) = equal_labels(whole.tasks, lines, family=("spectm-blend",)).to_dict("records")
    assert (line["baseline"], line["by"], line["baseline_labels"]) == ("ridge", "rows", 28)
    assert line["labels"] == pytest.approx(7 * 2**0.5)  # 0.6 is half way from 0.4 to 0.8
    assert line["share"] == pytest.approx(7 * 2**0.5 / 28)
    assert line["difference"] == pytest.approx(0.3)
    assert 7 <= line["labels_low"] <= line["labels"] <= line["labels_high"] <= 28


def test_a_level_that_is_not_reached() -> None:
    labels, scores = np.array([10.0, 20.0]), np.array([[0.1, np.nan], [0.3, 0.5]])
    assert labels_needed(labels, scores, np.array([0.4, 0.6])).tolist() == [np.inf, np.inf]
    level = np.array([0.3, 0.1])
    assert labels_needed(labels, scores, level)[0] == pytest.approx(20)
