import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spectm.config import to_toml
from spectm.data.patches import write_patches
from spectm.model.masking import MaskingConfig
from spectm.model.preprocess import PreprocessConfig
from spectm.model.spectm import ObjectiveConfig
from spectm.training.loop import LoopConfig
from spectm.training.pretrain import load_pretrained, pretrain
from spectm.training.pretraining_data import pretraining_data
from spectm.training.settings import PretrainConfig
from tests.processes import python

pytestmark = pytest.mark.slow

# What a person's own training script looks like. The process whose number is in INTERRUPT gets Ctrl-C.
SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from lightning_fabric import Fabric
from spectm.config import read_settings
from spectm.data.patches import read_patches
from spectm.training import pretrain as module
from spectm.training.settings import Settings

torch.set_num_threads(1)
patches, settings, folder, resume = sys.argv[1:]
fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
fabric.launch()
assert (fabric.world_size, torch.distributed.get_backend()) == (2, "gloo")

drawn, working = [], module._Learner.batch
def batch(self, rows, generator):
    drawn.append(rows)
    if len(drawn) == 4 and os.environ.get("INTERRUPT") == str(fabric.global_rank):
        signal.raise_signal(signal.SIGINT)
    return working(self, rows, generator)
module._Learner.batch = batch

try:
    done = module.pretrain(
        fabric,
        [read_patches(Path(patches))],
        read_settings(Settings, Path(settings)),
        seed=1,
        folder=Path(folder),
        resume=resume == "resume",
    )
except KeyboardInterrupt as stop:
    Path(f"{folder}.{fabric.global_rank}.stopped").write_text(str(stop))
else:
    torch.save(done.model.state_dict(), f"{folder}.{fabric.global_rank}.pt")
"""


def run_two(folder: Path, *, resume: bool = False, **environment: str) -> None:
    """Run the script in two processes that find each other on this machine alone."""
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    words = [script, folder.parent / "patches.nc", folder.parent / "settings.toml", folder]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        done = python(
            *("-W", "ignore", *map(str, words), "resume" if resume else "new"),
            env=inherited
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
            | {"OMP_NUM_THREADS": "1"}
            | environment,
        )
        if "EADDRINUSE" not in done.stderr:  # somebody else may have taken the port since
            break
    assert done.returncode == 0, done.stderr[-3000:]


def losses(folder: Path) -> dict[str, list[float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {name: [line[name] for line in lines if name in line] for name in lines[-1]}


@pytest.fixture
def patches(make_patches):
    """Partners at one station of four only, so that temporal targets are few and uneven over processes."""
    whole = make_patches()
    return replace(whole, station=np.where(whole.station == "WE1", "WE1", ""))


@pytest.fixture
def settings(make_settings):
    return make_settings(
        masking=MaskingConfig(strategy="random", mask_share=0.7, bands_per_token=1),
        preprocess=PreprocessConfig(shape=True, slope=True),
        objective=ObjectiveConfig(temporal=0.5),
        pretraining=PretrainConfig(
            # an odd batch: nine samples for one process and eight for the other
            loop=LoopConfig(steps=12, batch_size=17, validate_every=4, learning_rate=2e-3),
            validation_share=0.2,
        ),
    )


@pytest.mark.parametrize("learned_weights", [False, True])
def test_two_processes_train_as_one(tmp_path: Path, patches, settings, fabric, learned_weights: bool) -> None:
    settings = replace(settings, objective=replace(settings.objective, learned_weights=learned_weights))
    n_partners = int((~pretraining_data([patches]).ahead.isnan().any(dim=1)).sum())
    assert n_partners == 8  # of 39 rows
    write_patches(patches, tmp_path / "patches.nc")
    (tmp_path / "settings.toml").write_text(to_toml(settings))
    one = pretrain(fabric, [patches], settings, seed=1, folder=tmp_path / "one")
    run_two(tmp_path / "two")
    alone, together = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert alone.keys() == together.keys() >= {"loss", "reconstruction", "indices", "temporal", "validation"}
    for name in alone:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-4, err_msg=name)
    assert len(together["loss"]) == 12  # one process writes
    assert alone["loss"][-1] != pytest.approx(alone["loss"][0], rel=0.02)  # there was something to compare
    first, second = (torch.load(f"{tmp_path}/two.{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name, tensor in load_pretrained(tmp_path / "two").state_dict().items():
        assert torch.equal(tensor, first[name])
        torch.testing.assert_close(tensor, one.model.state_dict()[name], rtol=1e-2, atol=1e-3)


def test_ctrl_c_in_one_process_stops_both_and_resumes(tmp_path: Path, patches, settings, fabric) -> None:
    write_patches(patches, tmp_path / "patches.nc")
    (tmp_path / "settings.toml").write_text(to_toml(settings))
    pretrain(fabric, [patches], settings, seed=1, folder=tmp_path / "whole")
    run_two(tmp_path / "broken", INTERRUPT="1")
    for rank in (0, 1):
        assert (tmp_path / f"broken.{rank}.stopped").read_text() == "stopped after step 4 of 12"
    assert len((tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()) == 4
    run_two(tmp_path / "broken", resume=True)
    whole, broken = losses(tmp_path / "whole"), losses(tmp_path / "broken")
    for name in whole:
        np.testing.assert_allclose(broken[name], whole[name], rtol=1e-4, err_msg=name)
