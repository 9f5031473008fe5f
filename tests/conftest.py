"""Fixtures of several rooms. What they need is imported on use: one process of pytest-xdist runs no test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from spectm.evaluation.run import EvaluationSettings
    from tests.study import Study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> "Study":
    """Eight weekly dates at four stations: 32 rows of either task but for an empty patch."""
    from tests.study import write_study

    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def tiny_settings() -> "EvaluationSettings":
    """A model that trains in a blink, and a comparison of little."""
    from spectm.evaluation.run import EvaluationSettings
    from spectm.evaluation.study import EvaluationConfig
    from spectm.model.encoder import EncoderConfig
    from spectm.training.loop import LoopConfig
    from spectm.training.settings import FinetuneConfig, PretrainConfig

    loop = LoopConfig(steps=2, batch_size=64, validate_every=1)
    return EvaluationSettings(
        encoder=EncoderConfig(width=16, depth=1, heads=2),
        pretraining=PretrainConfig(loop=loop),
        finetuning=FinetuneConfig(loop=loop),
        evaluation=EvaluationConfig(seeds=1, shuffles=1, workers=1),
    )


@pytest.fixture
def fabric() -> "Fabric":
    from lightning_fabric import Fabric

    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors in tests are so small that threads only wait for one another."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
