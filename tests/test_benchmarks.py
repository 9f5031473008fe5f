import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

from benchmarks import pretraining
from benchmarks.entry import Entry
from benchmarks.pretraining import Mode, measure
from benchmarks.run import write_results
from spectm.model.encoder import EncoderConfig
from spectm.training.loop import LoopConfig
from spectm.training.pretrain import layout_for
from spectm.training.settings import PretrainConfig, Settings

TINY = Settings(
    encoder=EncoderConfig(width=8, depth=1, heads=2),
    pretraining=PretrainConfig(loop=LoopConfig(batch_size=4)),
)
KEYS = {"name", "value", "unit", "against", "ratio", "machine", "runs", "note"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "N_SPECTRA", 64)
    monkeypatch.setattr(pretraining, "SIZES", {"cpu": (64,), "cuda": (64,)})


def by_name(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.name.removeprefix("pretraining/"): entry for entry in entries}


@pytest.mark.slow
def test_a_smoke_run_writes_the_documented_json(tmp_path: Path) -> None:
    entries = measure(TINY, modes=[Mode()], n_runs=3, seconds=0.0, say=lambda line: None)
    write_results(entries, "pretraining", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [set(item) for item in found] == [KEYS] * 3
    peak, throughput, products = found
    assert [item["name"] for item in found] == [
        "pretraining/cpu/float32/matmul_peak",
        "pretraining/cpu/float32/eager/throughput",
        "pretraining/cpu/float32/eager/products",
    ]
    assert [item["unit"] for item in found] == ["GFLOP/s", "spectra/s", "GFLOP/s"]
    assert all(item["value"] == median(item["runs"]) > 0 and len(item["runs"]) == 3 for item in found)
    assert (peak["against"], peak["ratio"]) == (None, None)
    assert (throughput["against"], throughput["ratio"]) == (throughput["name"], 1.0)
    assert products["against"] == peak["name"]
    assert products["ratio"] == pytest.approx(products["value"] / peak["value"])
    assert all("torch" in item["machine"] and "cores" in item["machine"] for item in found)


@pytest.mark.slow
def test_operations_of_a_layer_are_those_counted_by_hand() -> None:
    width, batch = 8, 4
    one, two = (replace(TINY, encoder=EncoderConfig(width=width, depth=n, heads=2)) for n in (1, 2))
    benches = [pretraining.TrainingBench.make(settings) for settings in (one, two)]
    difference = benches[1].flops_per_step() - benches[0].flops_per_step()
    tokens = layout_for(TINY, benches[0].data.wavelength).n_tokens + 1  # and the summary
    linear = (3 * width + width + 2 * width + 2 * width) * width  # queries, keys, values; out; feed-forward
    attention = 2 * tokens * width  # scores, and what they weigh
    forward = 2 * batch * tokens * (linear + attention)
    assert difference == 3 * forward  # the backward pass has two products for each of the forward one


@pytest.mark.slow
def test_without_a_gpu_or_a_compiler_the_entry_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pretraining.TrainingBench.warm

    def warm(bench: pretraining.TrainingBench, mode: Mode) -> object:
        if mode.compiled:
            raise RuntimeError("no C++ compiler found\nlong story")
        return real(bench, mode)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(pretraining.TrainingBench, "warm", warm)
    modes = [Mode(), Mode(compiled=True), Mode(device="cuda")]
    found = by_name(measure(TINY, modes=modes, n_runs=1, seconds=0.0, say=lambda line: None))
    compiled, gpu = found["cpu/float32/compiled/throughput"], found["cuda/float32/eager/products"]
    assert (compiled.value, compiled.ratio, compiled.runs) == (None, None, ())
    assert compiled.note == "not measured: RuntimeError: no C++ compiler found"
    assert (gpu.value, gpu.note) == (None, "not measured: torch finds no GPU here")
    assert found["cpu/float32/eager/throughput"].value is not None
    assert found["cuda/float32/matmul_peak"].note == "not measured: torch finds no GPU here"


def test_one_benchmark_replaces_its_own_entries_only(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for benchmark, value in (("maps", 1.0), ("pretraining", 2.0), ("pretraining", 3.0)):
        entry = Entry(name=f"{benchmark}/cpu", value=value, unit="1/s", machine="made up")
        write_results([entry], benchmark, path)
    found = {item["name"]: item["value"] for item in json.loads(path.read_text(encoding="utf-8"))}
    assert found == {"maps/cpu": 1.0, "pretraining/cpu": 3.0}
    assert list(tmp_path.iterdir()) == [path]
