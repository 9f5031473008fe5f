import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spectm
from spectm.cli import options
from spectm.cli.main import main
from spectm.data.patches import Patches, write_patches
from spectm.spectral.sensors import resample
from spectm.training.checkpoint import read_checkpoint
from spectm.training.finetune import RegressionData, load_regressor
from spectm.training.forecast import usual_at
from tests.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = """
[encoder]
width = 16
depth = 1
heads = 2

[masking]
bands_per_token = 4

[preprocess]
slope = true

[pretraining.loop]
steps = 4
validate_every = 2

[finetuning.loop]
steps = 4
validate_every = 2
"""
CPU = ("--device", "cpu")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]):
    """Run a command that should refuse, and return its one line."""

    def call(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        found = capsys.readouterr().err
        assert found.endswith("\n")
        assert found.count("\n") == 1, found
        assert found.startswith(f"spectm {words[0]}: ")
        return found

    return call


def call(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="session")
def pretrained(study: Study, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    files = ("--patches", study.patches_file, "--patches", study.pixels_file)
    call("pretrain", *files, "--out", out, "--config", tiny, "--set", "masking.guard_nm=5", *CPU)
    return out


@pytest.fixture(scope="session")
def regressor(study: Study, tiny: Path, pretrained: Path) -> Path:
    """Fine-tuned without a word about the model's size: the checkpoint knows."""
    out = pretrained.parent / "current"
    loop = ("--set", "finetuning.loop.steps=3")
    data = ("--patches", study.patches_file, "--labels", study.labels_file)
    call("finetune", "--pretrained", pretrained, *data, "--out", out, "--head", "network", *loop, *CPU)
    return out


@pytest.fixture(scope="session")
def blend(study: Study, pretrained: Path) -> Path:
    out = pretrained.parent / "blend"
    data = ("--patches", study.patches_file, "--labels", study.labels_file)
    call("finetune", "--pretrained", pretrained, "--pretrained", pretrained, *data, "--out", out)
    return out


# The way from files to estimates


def test_pretrain_writes_a_checkpoint_and_its_settings(pretrained: Path, study: Study) -> None:
    meta = read_checkpoint(pretrained, kind="pretrained").meta
    assert meta["settings"]["encoder"]["width"] == 16
    assert meta["settings"]["masking"]["guard_nm"] == 5
    assert meta["seed"] == 0
    patches, pixels = meta["provenance"]["files"]
    assert (patches["file"], patches["n_patches"]) == ("patches.nc", 64)
    assert (pixels["file"], pixels["n_patches"]) == ("pixels.nc", study.unlabelled[0].n_samples)
    assert re.fullmatch("[0-9a-f]{64}", patches["sha256"])
    settings = (pretrained / "settings.toml").read_text()
    assert "guard_nm = 5.0" in settings
    assert "width = 16" in settings
    lines = (pretrained / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 4


def test_finetune_builds_on_the_model_as_it_was_pretrained(pretrained: Path, regressor: Path) -> None:
    one, two = (read_checkpoint(folder).meta["settings"] for folder in (pretrained, regressor))
    assert two["finetuning"]["loop"]["steps"] == 3
    for section in ("encoder", "preprocess", "masking", "windows"):
        assert one[section] == two[section]
    meta = read_checkpoint(regressor, kind="regressor").meta
    provenance = meta["provenance"]
    assert (provenance["task"], provenance["context"]) == ("current", "none")
    assert (provenance["n_rows"], provenance["n_below_detection"]) == (32, 3)
    assert provenance["pretrained"].startswith("weights-")


def test_predict(regressor: Path, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "estimates.csv"
    call("predict", "--model", regressor, "--patches", study.patches_file, "--out", out)
    assert "63 of 64 patches estimated" in capsys.readouterr().out
    table = pd.read_csv(out, keep_default_na=False)
    assert list(table.columns) == [
        "station",
        "overpass_time",
        "latitude",
        "longitude",
        "microcystin_ug_per_l",
        "spread_log10",
        "note",
        "about",
    ]
    assert table["station"].tolist() == study.patches.station.tolist()
    assert table.loc[0, "overpass_time"] == "2024-05-26T18:00:00Z"
    empty = table.iloc[5]
    assert (empty["microcystin_ug_per_l"], empty["spread_log10"], empty["note"]) == ("", "", "no valid pixel")
    assert (table["note"] == "no valid pixel").sum() == 1
    data = RegressionData(Rrs=study.patches.Rrs[[0, 1]], context=np.empty((2, 0)))
    mean, spread = load_regressor(regressor).predict(data)
    found = table.loc[[0, 1], ["microcystin_ug_per_l", "spread_log10"]].astype(float).to_numpy()
    np.testing.assert_allclose(found, np.column_stack([10**mean, spread]), rtol=1e-4)


def other_bands(patches: Patches, wavelength: np.ndarray) -> Patches:
    moved = resample(np.moveaxis(patches.Rrs, 1, -1), patches.wavelength, wavelength)
    return replace(patches, Rrs=np.moveaxis(moved, -1, 1).astype(np.float32), wavelength=wavelength)


@pytest.mark.slow
def test_predict_on_other_bands(regressor: Path, study: Study, tmp_path: Path, fails) -> None:
    """Twice as many bands: refused, unless asked to interpolate, which then gives the same estimates."""
    known = study.patches.wavelength
    finer = np.sort(np.concatenate([known, (known[1:] + known[:-1]) / 2]))
    write_patches(other_bands(study.patches, finer), tmp_path / "finer.nc")
    out = tmp_path / "estimates.csv"
    words = ("predict", "--model", regressor, "--patches", tmp_path / "finer.nc", "--out", out)
    message = fails(*words)
    assert "33 bands from 400 to 718 nm wanted, 65 bands from 400 to 718 nm found" in message
    assert "--resample" in message
    assert not out.exists()
    call(*words, "--resample")
    call("predict", "--model", regressor, "--patches", study.patches_file, "--out", tmp_path / "same.csv")
    resampled, same = pd.read_csv(out), pd.read_csv(tmp_path / "same.csv")
    estimated = resampled["microcystin_ug_per_l"].notna()
    assert (resampled["note"][estimated] == "resampled").all()
    pd.testing.assert_frame_equal(resampled.drop(columns="note"), same.drop(columns="note"), rtol=1e-4)
    record = json.loads((tmp_path / "estimates.run.json").read_text())
    assert record["resampling"] == {
        "method": "linear interpolation between neighbouring bands",
        "source": "miniature patches",
        "from_nm": finer.tolist(),
        "to_nm": known.tolist(),
    }
    assert record["data"]["file"] == "finer.nc"
    assert not (tmp_path / "same.run.json").exists()


def test_predict_does_not_extrapolate_to_the_models_bands(
    regressor: Path, study: Study, tmp_path, fails
) -> None:
    short = other_bands(study.patches, study.patches.wavelength[3:])
    write_patches(short, tmp_path / "short.nc")
    words = ("--patches", tmp_path / "short.nc", "--out", tmp_path / "x.csv", "--resample")
    assert "resampled to the model's 400 nm" in fails("predict", "--model", regressor, *words)
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.slow
def test_a_blend_answers_for_now_and_for_later(blend: Path, study: Study, tmp_path: Path, capsys) -> None:
    meta = read_checkpoint(blend, kind="forecaster").meta
    assert len(meta["provenance"]["pretrained"]) == len(meta["blends"]) == 2
    assert meta["provenance"]["n_rows"] == len(meta["samples"]) == 32
    assert meta["settings"]["encoder"]["width"] == 16
    out = tmp_path / "estimates.csv"
    call("predict", "--model", blend, "--patches", study.patches_file, "--out", out)
    assert "63 of 64 patches estimated" in capsys.readouterr().out
    table = pd.read_csv(out)
    columns = [
        *("microcystin_ug_per_l", "low50_ug_per_l", "high50_ug_per_l", "low90_ug_per_l", "high90_ug_per_l"),
        *("below_detection_probability", "above_1_probability", "above_12_probability"),
        "above_24_probability",
    ]
    columns += [f"ahead_{name}" for name in columns]
    assert list(table.columns) == [
        *("station", "overpass_time", "latitude", "longitude"),
        *columns,
        *("flagged", "reasons", "note", "about"),
    ]
    assert table[columns].notna().all(axis=1).sum() == 63
    assert table.loc[5, [*columns, "flagged", "reasons"]].isna().all()
    seen = table.drop(index=5)
    for prefix in ("", "ahead_"):
        at = [f"{prefix}{end}_ug_per_l" for end in ("low90", "low50", "microcystin", "high50", "high90")]
        assert (np.diff(seen[at], axis=1) >= -1e-6).all()
        above = seen[[f"{prefix}above_{value}_probability" for value in (1, 12, 24)]]
        assert (np.diff(above, axis=1) <= 0).all()
        # a threshold beyond the upper end of the 90 % interval is passed in 5 % of cases at most
        beyond = seen[f"{prefix}high90_ug_per_l"] < 1
        assert (above[beyond].iloc[:, 0] <= 0.05 + 1e-6).all()
    assert set(seen["flagged"]) <= {"yes", "no"}
    assert (seen["note"] == "within 60 hours of samples learned from").sum() >= 32  # a row for each sample
    assert (seen["reasons"].notna() | (seen["flagged"] == "no")).all()
    # the ceiling of what the forecast may depart from the climatology is what is left of today's departure
    model = spectm.load(blend)
    usual, later = (
        usual_at(
            model.record.climatology,
            study.patches.time + days * np.timedelta64(24, "h"),
            study.patches.station,
        )
        for days in (0, 8)
    )
    now, ahead = np.log10(table["microcystin_ug_per_l"]), np.log10(table["ahead_microcystin_ug_per_l"])
    left = np.exp(-8 / model.record.memory.days)
    np.testing.assert_allclose((ahead - later)[seen.index], left * (now - usual)[seen.index], atol=1e-4)


@pytest.mark.slow
def test_patches_without_a_name_are_places_of_their_own(blend: Path, study: Study, tmp_path: Path) -> None:
    out = tmp_path / "pixels.csv"
    call("predict", "--model", blend, "--patches", study.pixels_file, "--out", out)
    alone = study.unlabelled[0].select(slice(0, 1))
    write_patches(alone, tmp_path / "one.nc")
    call("predict", "--model", blend, "--patches", tmp_path / "one.nc", "--out", tmp_path / "one.csv")
    many, one = (pd.read_csv(path)["microcystin_ug_per_l"][0] for path in (out, tmp_path / "one.csv"))
    assert one == pytest.approx(many, rel=1e-4)


def test_options_of_the_other_head(pretrained: Path, study: Study, tmp_path: Path, fails) -> None:
    words = ("finetune", "--pretrained", pretrained, "--patches", study.patches_file)
    words += ("--labels", study.labels_file, "--out", tmp_path / "x")
    assert "--task is an option of --head network" in fails(*words, "--task", "ahead")
    assert "give --pretrained once" in fails(*words, "--pretrained", pretrained, "--head", "network")
    assert not (tmp_path / "x").exists()


def test_finetune_refuses_settings_of_the_pretrained_model(
    pretrained: Path, study: Study, tmp_path, fails
) -> None:
    data = ("--patches", study.patches_file, "--labels", study.labels_file, "--out", tmp_path / "x")
    message = fails("finetune", "--pretrained", pretrained, *data, "--set", "encoder.width=128", *CPU)
    assert "encoder is part of the pretrained model" in message


@pytest.mark.slow
def test_predict_wants_no_context(pretrained: Path, study: Study, tmp_path: Path, fails) -> None:
    data = ("--patches", study.patches_file, "--labels", study.labels_file)
    out = tmp_path / "seasonal"
    few = ("--set", "finetuning.loop.steps=1", "--context", "season", "--task", "ahead", "--seed", "3")
    few += ("--head", "network")
    call("finetune", "--pretrained", pretrained, *data, "--out", out, *few, *CPU)
    meta = read_checkpoint(out, kind="regressor").meta
    assert (meta["seed"], meta["n_context"], meta["provenance"]["task"]) == (3, 2 + 4 + 1, "ahead")
    message = fails("predict", "--model", out, "--patches", study.patches_file, "--out", tmp_path / "x.csv")
    assert "context 'season'" in message
    assert "--context none" in message


# Refusals


def test_an_unknown_key_suggests_the_nearest(study: Study, tmp_path: Path, fails) -> None:
    words = ("pretrain", "--patches", study.patches_file, "--out", tmp_path / "out")
    assert "unknown key 'guard_mn'; did you mean 'guard_nm'?" in fails(*words, "--set", "masking.guard_mn=5")
    config = tmp_path / "own.toml"
    config.write_text("[masknig]\nguard_nm = 5\n")
    message = fails(*words, "--config", config)
    assert "own.toml: unknown key 'masknig'; did you mean 'masking'?" in message
    config.write_text("[masking\n")
    assert "can't read settings from" in fails(*words, "--config", config)
    assert "wanted int; found 'many'" in fails(*words, "--set", "encoder.width=many")
    assert "looks like section.key=value" in fails(*words, "--set", "encoder.width")
    assert not (tmp_path / "out").exists()


def test_evaluation_settings_belong_to_evaluate(study: Study, tmp_path: Path, fails) -> None:
    data = ("--patches", study.patches_file, "--out", tmp_path / "out")
    assert "unknown key 'evaluation'" in fails("pretrain", *data, "--set", "evaluation.seeds=2")
    labels = ("--labels", study.labels_file)
    message = fails("evaluate", *data, *labels, "--set", "evaluation.sedes=2")
    assert "unknown key 'sedes'; did you mean 'seeds'?" in message
    message = fails("evaluate", *data, *labels, "--models", "ridge,rigde")
    assert "'rigde' is not one of mean, climatology" in message


@pytest.mark.parametrize("name", ["pretrain", "finetune", "predict", "evaluate"])
def test_missing_files_are_named(name: str, study: Study, pretrained: Path, tmp_path: Path, fails) -> None:
    missing = tmp_path / "absent.nc"
    labels = ("--labels", study.labels_file)
    beside = {
        "pretrain": (),
        "finetune": ("--pretrained", pretrained, *labels),
        "predict": ("--model", tmp_path / "no-model"),
        "evaluate": labels,
    }
    message = fails(name, "--patches", missing, "--out", tmp_path / "out", *beside[name])
    assert str(tmp_path / "no-model" if name == "predict" else missing) in message


def test_missing_labels_are_named(study: Study, pretrained: Path, tmp_path: Path, fails) -> None:
    data = ("--patches", study.patches_file, "--out", tmp_path / "out", "--labels", tmp_path / "absent.csv")
    for words in (("finetune", "--pretrained", pretrained), ("evaluate",)):
        assert "absent.csv" in fails(*words, *data)


def test_checkpoints_of_the_other_kind(study: Study, pretrained: Path, regressor, tmp_path, fails) -> None:
    data = ("--patches", study.patches_file, "--out", tmp_path / "out")
    assert "wanted 'forecaster' or 'regressor'" in fails("predict", "--model", pretrained, *data)
    labels = ("--labels", study.labels_file)
    assert "wanted 'pretrained'" in fails("finetune", "--pretrained", regressor, *labels, *data)


def test_finetune_on_other_bands(study: Study, pretrained: Path, tmp_path: Path, fails) -> None:
    write_patches(other_bands(study.patches, study.patches.wavelength[:-1]), tmp_path / "fewer.nc")
    data = ("--patches", tmp_path / "fewer.nc", "--labels", study.labels_file, "--out", tmp_path / "out")
    assert "trained on other bands: 33 bands" in fails("finetune", "--pretrained", pretrained, *data)


def test_labels_of_another_year(study: Study, pretrained: Path, tmp_path: Path, fails) -> None:
    lines = study.labels_file.read_text().splitlines()
    labels = tmp_path / "early.csv"
    labels.write_text("\n".join(line for line in lines if ",2024-" not in line) + "\n")
    data = ("--patches", study.patches_file, "--labels", labels, "--out", tmp_path / "out")
    assert "no laboratory sample" in fails("finetune", "--pretrained", pretrained, *data)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--device", "banana"), "--device banana"),
        (("--device", "tpu"), "--device tpu"),
        (("--device", "cpu", "--processes", "-1"), "--processes -1"),
        (("--device", "cpu", "--processes", "0"), "--processes 0"),
    ],
)
def test_devices_that_are_not_there(study: Study, tmp_path: Path, fails, words, message: str) -> None:
    found = fails("pretrain", "--patches", study.patches_file, "--out", tmp_path / "out", *words)
    assert message in found


# Resuming


@pytest.mark.slow
def test_resume_with_other_settings_keeps_those_of_the_run(study, tiny: Path, tmp_path: Path, fails) -> None:
    """The message sends to settings.toml, so that must still be the broken run's."""
    out = tmp_path / "run"
    words = ("pretrain", "--patches", study.patches_file, "--out", out, "--config", tiny, *CPU)
    call(*words, "--set", "pretraining.loop.steps=2")
    before = (out / "settings.toml").read_text()
    message = fails(*words, "--resume")
    assert "settings differ" in message
    assert "settings.toml" in message
    assert (out / "settings.toml").read_text() == before
    call(*words[:5], "--config", out / "settings.toml", "--resume", *CPU)


def test_nothing_to_resume(study: Study, tiny: Path, tmp_path: Path, fails) -> None:
    words = ("pretrain", "--patches", study.patches_file, "--out", tmp_path / "new", "--config", tiny, *CPU)
    assert "holds no checkpoint.json" in fails(*words, "--resume")


# Everything, on the way to the report


@pytest.mark.slow
def test_from_files_to_report(study: Study, tiny: Path, regressor: Path, tmp_path: Path, capsys) -> None:
    """After pretrain, finetune and predict: evaluate, of which every number has tests of its own."""
    out, page = tmp_path / "evaluation", tmp_path / "docs" / "results.md"
    data = ("--patches", study.patches_file, "--unlabelled", study.pixels_file, "--labels", study.labels_file)
    models = ("--models", "mean,climatology,persistence,ridge,spectm")
    few = (
        "--set",
        "evaluation.contexts=['none']",
        "--set",
        "evaluation.workers=1",
        "--config",
        tiny,
        "--quick",
    )
    call("evaluate", *data, "--out", out, *few, *models, "--results", page)
    printed = capsys.readouterr().out
    names = [
        *("scores.csv", "predictions.csv", "pairs.csv", "reconstruction.csv", "reconstruction_examples.csv"),
        *("curves.csv", "run.json", "report.html"),
    ]
    for path in (*(out / name for name in names), page):
        assert str(path) in printed
        assert path.stat().st_size > 100
    assert {path.name for path in out.iterdir()} == {*names, "settings.toml"}
    scores = pd.read_csv(out / "scores.csv", dtype={"seed": str})
    assert set(scores["split"]) == {"leave-date-out"}
    assert set(scores["seed"]) == {"0", "ensemble"}
    assert (scores["n"] == 32).all()
    record = json.loads((out / "run.json").read_text())
    assert record["counts"]["current"] == {
        "rows": 32,
        "below_detection": 3,
        "dates": 8,
        "mean_hours_apart": pytest.approx(-3.483, abs=0.02),
        "mean_absolute_hours_apart": pytest.approx(3.483, abs=0.02),
        "within_3_hours": 0,
        "overpass_after_sample": 32,
    }
    assert [entry["file"] for entry in record["files"]] == ["patches.nc", "pixels.nc"]
    assert record["settings"]["evaluation"]["seeds"] == 1
    assert math.isfinite(record["seconds"])
    assert "masking targeted" in record["mask"]
    assert "<html" in (out / "report.html").read_text()
    kept = (out / "settings.toml").read_text()
    assert 'splits = [\n    "leave-date-out",\n]' in kept

    # Fewer models into the same folder: nothing of the former run may stay to be reported on.
    call("evaluate", *data, "--out", out, *few, "--models", "mean,climatology,ridge")
    assert {path.name for path in out.iterdir()} == {
        *("scores.csv", "predictions.csv", "pairs.csv", "run.json", "report.html", "settings.toml")
    }


@pytest.mark.slow
def test_a_machine_without_bfloat16_or_compiler_says_so_and_trains(
    study: Study, tiny: Path, tmp_path: Path, monkeypatch, capfd
) -> None:
    monkeypatch.setattr(options, "bfloat16_fallback", lambda device: "no such products")
    monkeypatch.setattr(options, "compiler_fallback", lambda: "no compiler found")
    asked = ["--precision", "bf16-mixed", "--compile"]
    call(
        "pretrain", "--patches", study.patches_file, "--out", tmp_path / "run", "--config", tiny, *CPU, *asked
    )
    said = capfd.readouterr().err
    assert "training in float32: no such products" in said
    assert "training without compiling: no compiler found" in said
    assert read_checkpoint(tmp_path / "run", kind="pretrained").weights
