import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spectm
from spectm import files
from spectm.errors import CheckpointError, SpectmError
from spectm.training import checkpoint as module
from spectm.training.checkpoint import (
    FORMAT_VERSION,
    check_bands,
    read_checkpoint,
    read_training_state,
    resumed_state,
    write_checkpoint,
)
from spectm.training.loop import TrainingState

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "a.bias": torch.tensor([1e-30, -0.0, torch.pi])}
META: dict[str, Any] = {
    "wavelength_nm": [443.0, 665.0, 681.0],
    "units": "sr-1",
    "normalisation": {"centre": [0.1, 1 / 3, 2e-9], "scale": [1.0, 1.0, 1.0], "log_brightness": [0.0, 1.0]},
    "settings": {"encoder": {"width": 8}, "windows": {"ranges": ("615-640",)}},
    "seed": 3,
    "provenance": {"files": ["übung.nc"]},
}
STATE: dict[str, Any] = {
    "step": 7,
    "best_step": 5,
    "best_loss": float("inf"),
    "best": {"w": torch.ones(2)},
    "history": [{"loss": 0.1 + 0.2, "validation": float("nan")}],
    "generator": torch.Generator().manual_seed(1).get_state(),
    "optimizer": {
        "state": {0: {"exp_avg": torch.rand(3)}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}],
    },
    "module": {"w": torch.zeros(2)},
}


def written(folder: Path, **changes: Any) -> Path:
    write_checkpoint(
        folder,
        **({"kind": "pretrained", "weights": WEIGHTS, "meta": META, "training_state": STATE} | changes),
    )
    return folder


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for x, y in zip(found, wanted, strict=True):
            assert_same(x, y)
    else:
        assert found == wanted or (np.isnan(found) and np.isnan(wanted))


def edit_header(folder: Path, **changes: Any) -> None:
    path = folder / "checkpoint.json"
    header = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in header.items() if value is not ...}))


def test_everything_comes_back(tmp_path: Path) -> None:
    folder = written(tmp_path / "deep" / "run")
    found = read_checkpoint(folder, kind="pretrained")
    assert (found.folder, found.kind) == (folder, "pretrained")
    assert_same(found.weights, WEIGHTS)
    for key, value in META.items():
        assert found.meta[key] == json.loads(json.dumps(value)), key
    assert found.meta["format_version"] == FORMAT_VERSION == 1
    assert found.meta["spectm_version"] == spectm.__version__
    assert found.meta["torch_version"] == torch.__version__
    assert found.meta["written"].endswith("+00:00")
    assert_same(read_training_state(folder), STATE)
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == [
        "checkpoint.json",
        "training",
        "weights",
    ]


def test_a_second_one_replaces_the_first(tmp_path: Path) -> None:
    folder = written(tmp_path)
    written(folder, weights={"b": torch.zeros(1)}, training_state=None, kind="regressor")
    found = read_checkpoint(folder)
    assert found.kind == "regressor"
    assert list(found.weights) == ["b"]
    assert len(list(folder.iterdir())) == 2  # nothing is left of the first
    with pytest.raises(
        CheckpointError, match="holds no training state, so it can't be resumed; train it anew"
    ):
        read_training_state(folder)


@pytest.mark.parametrize("broken_write", [1, 2, 3])  # of weights, training state, header
@pytest.mark.parametrize("stage", ["write", "rename"])
def test_a_broken_write_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_write: int, stage: str
) -> None:
    folder = written(tmp_path)
    names = {path.name for path in folder.iterdir()}
    n_calls = 0
    target, name = (files.os, "fsync") if stage == "write" else (Path, "replace")
    working = getattr(target, name)

    def failing(*arguments: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == broken_write:
            raise OSError("no space left on device")
        return working(*arguments)

    monkeypatch.setattr(target, name, failing)
    with pytest.raises(OSError, match="no space left"):
        written(folder, weights={"b": torch.zeros(1)}, training_state=STATE | {"step": 8}, kind="regressor")
    monkeypatch.undo()
    assert read_checkpoint(folder).kind == "pretrained"
    assert_same(read_checkpoint(folder).weights, WEIGHTS)
    assert_same(read_training_state(folder), STATE)
    assert names <= {path.name for path in folder.iterdir()}
    assert not any(path.name.startswith(".") for path in folder.iterdir())  # no half file stays
    written(folder, weights={"b": torch.zeros(1)})  # and the next one cleans up
    assert len(list(folder.iterdir())) == 3


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    """A temporary file's mode of 0600 would follow the checkpoint to its place."""
    beside = tmp_path / "beside"
    beside.touch()
    for path in written(tmp_path / "run").iterdir():
        assert path.stat().st_mode == beside.stat().st_mode


def test_training_state_loads_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path)
    asked: list[dict[str, Any]] = []
    load = torch.load
    monkeypatch.setattr(module.torch, "load", lambda *a, **k: asked.append(k) or load(*a, **k))
    read_training_state(folder)
    assert asked[0]["weights_only"] is True


@pytest.mark.parametrize("stem", ["weights", "training-state"])
def test_a_damaged_file_is_told(tmp_path: Path, stem: str) -> None:
    folder = written(tmp_path)
    path = next(folder.glob(f"{stem}-*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    read = read_checkpoint if stem == "weights" else read_training_state
    with pytest.raises(
        CheckpointError, match=rf"{path.name} is damaged: its content does not match its name"
    ):
        read(folder)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        read(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"names {path.name}, which is missing; copy the whole folder"):
        read(folder)


def test_a_header_that_is_none_is_told(tmp_path: Path) -> None:
    assert issubclass(CheckpointError, SpectmError)
    assert issubclass(CheckpointError, ValueError)
    with pytest.raises(CheckpointError, match=r"holds no checkpoint.json; is this a folder that spectm"):
        read_checkpoint(tmp_path / "nowhere")
    folder = written(tmp_path)
    header = folder / "checkpoint.json"
    whole = header.read_text()
    for text in (whole[:100], "\udcff\n"):
        header.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CheckpointError, match=r"checkpoint.json is damaged"):
            read_checkpoint(folder)
    for text in ("[]", "{}", '{"format": "other"}'):
        header.write_text(text)
        with pytest.raises(CheckpointError, match=r"is no checkpoint of spectm"):
            read_checkpoint(folder)
    for key in ("files", "kind", "format_version"):
        header.write_text(whole)
        edit_header(folder, **{key: ...})
        with pytest.raises(CheckpointError, match=rf"is damaged: it has no '{key}'"):
            read_checkpoint(folder)


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path)
    name = module._put(folder, "weights", ".safetensors", b"not safetensors")
    edit_header(folder, files={"weights": name})
    with pytest.raises(CheckpointError, match="the weights are no safetensors file"):
        read_checkpoint(folder)


def test_another_kind_and_a_newer_format_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"holds a 'pretrained' checkpoint, wanted 'regressor'.*finetune"
    ):
        read_checkpoint(folder, kind="regressor")
    edit_header(folder, format_version=2)
    with pytest.raises(CheckpointError, match=r"version 2, this spectm .* reads up to 1\. Use a newer"):
        read_checkpoint(folder)


def test_other_bands_are_refused(tmp_path: Path) -> None:
    found = read_checkpoint(written(tmp_path)).meta
    check_bands(found, np.array([443.0, 665.0, 681.0]), where="a.nc")
    check_bands(found, np.array([443.4, 664.5, 681.5], dtype=np.float32), where="a.nc")  # rounding
    with pytest.raises(
        CheckpointError,
        match=r"3 bands from 443 to 681 nm wanted, 2 bands .* found in a\.nc\. Ask for resampling",
    ):
        check_bands(found, np.array([443.0, 665.0]), where="a.nc")
    with pytest.raises(CheckpointError, match=r"band 1 is 667 nm instead of 665 nm.*--resample"):
        check_bands(found, np.array([443.0, 667.0, 681.0]), where="a.nc")


def test_other_units_are_refused(tmp_path: Path) -> None:
    found = read_checkpoint(written(tmp_path)).meta
    with pytest.raises(
        CheckpointError, match=r"trained on reflectance in sr-1, found 1 in a\.nc; convert it first.*pi"
    ):
        check_bands(found, np.array([443.0, 665.0, 681.0]), where="a.nc", units="1")


def test_a_run_resumes_only_as_itself(tmp_path: Path) -> None:
    folder = written(tmp_path)
    state = resumed_state(folder, META | {"provenance": {"files": []}}, kind="pretrained")
    assert isinstance(state, TrainingState)
    assert (state.step, state.best_step) == (7, 5)
    assert_same(state.optimizer, STATE["optimizer"])
    changes: dict[str, Any] = {
        "settings": {"encoder": {"width": 16}},
        "seed": 4,
        "normalisation": META["normalisation"] | {"centre": [0.1, 0.3, 2e-9]},
        "wavelength_nm": [443.0, 665.0, 682.0],
        "units": "1",
        "index_names": ["ndci"],
    }
    for key, value in changes.items():
        with pytest.raises(
            CheckpointError, match=rf"can't be resumed: its {key} differ.*or write to another folder"
        ):
            resumed_state(folder, META | {key: value}, kind="pretrained")
    with pytest.raises(CheckpointError, match="its settings differ"):  # the cause, not what follows from it
        resumed_state(folder, META | changes, kind="pretrained")
    with pytest.raises(CheckpointError, match="wanted 'regressor'"):
        resumed_state(folder, META, kind="regressor")
    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.json"):
        resumed_state(tmp_path / "new", META, kind="pretrained")
