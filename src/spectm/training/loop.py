"""One training loop for pretraining and fine-tuning, on one process or several."""

import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from spectm.errors import ConfigError, TrainingError
from spectm.model.spectm import LossTerm

__all__ = ["Batch", "Learner", "LoopConfig", "TrainingState", "learning_rate", "train"]

Batch = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast to train.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch_size : int
        Samples per step over all processes together.
    learning_rate : float
        Peak of AdamW's rate, reached after the warm-up and followed by half a cosine down to a hundredth of
        it.
    warmup_share : float
        Share of the steps in which the rate rises linearly.
    weight_decay, clip_norm : float
        Of AdamW; and the gradient norm above which gradients are scaled down.
    validate_every : int
        Steps between looks at the validation split.
    patience : int
        Looks without a better loss before training stops early; 0 never stops early.
    checkpoint_every : int
        Steps between checkpoints; 0 writes one at the end only.
    """

    steps: int = 200
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup_share: float = 0.1
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    validate_every: int = 25
    patience: int = 0
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.validate_every) < 1 or not self.learning_rate > 0:
            raise ConfigError(
                "training wants steps, batch_size and validate_every of at least 1 and a learning_rate "
                "above 0; found "
                f"steps={self.steps}, batch_size={self.batch_size}, validate_every={self.validate_every}, "
                f"learning_rate={self.learning_rate}"
            )
        if not (0 <= self.warmup_share <= 1 and self.weight_decay >= 0 and self.clip_norm > 0):
            raise ConfigError(
                "training wants warmup_share between 0 and 1, weight_decay of 0 or more and clip_norm "
                f"above 0; found warmup_share={self.warmup_share}, weight_decay={self.weight_decay}, "
                f"clip_norm={self.clip_norm}"
            )
        if min(self.patience, self.checkpoint_every) < 0:
            raise ConfigError(
                f"training wants patience and checkpoint_every of 0 (never) or more; found "
                f"patience={self.patience}, checkpoint_every={self.checkpoint_every}"
            )


class Learner(Protocol):
    """What the loop needs to know about a task."""

    n_rows: int

    def batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        """Keyword tensors of the module's ``forward`` for these rows, on the CPU, first axis = row."""

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        """One number from the mean of each term that the module returned, and how many values each is of."""

    def validation(self, module: nn.Module) -> float:
        """Loss on the validation split, or NaN where there is none."""

    def rate(self, parameter: str) -> float:
        """Learning rate of a named parameter as a share of the schedule's."""


@dataclass(slots=True)
class TrainingState:
    """Everything that a resumed run needs, to continue to the bit-identical result."""

    step: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    generator: Tensor | None = None
    optimizer: dict[str, Any] | None = None
    module: dict[str, Tensor] | None = None


def learning_rate(config: LoopConfig, step: int) -> float:
    """Rate of step 0, 1, ...: linear warm-up, then half a cosine down to a hundredth of the peak."""
    warmup = max(1, round(config.warmup_share * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    fabric: Fabric,
    module: nn.Module,
    learner: Learner,
    config: LoopConfig,
    generator: torch.Generator,
    *,
    state: TrainingState | None = None,
    metrics: Path | None = None,
    checkpoint: Callable[[TrainingState], None] | None = None,
    progress: str | None = None,
    compiled: bool = False,
) -> TrainingState:
    """Train `module` in place and leave the best validated weights in it.

    Parameters
    ----------
    fabric : Fabric
        Device, precision and processes. Every process draws the same rows and masks from its own copy of
        `generator` and keeps its share, so the number of processes changes nothing but rounding.
    module : nn.Module
        Its ``forward`` takes a batch and returns a `LossTerm` per task.
    learner : Learner
        Rows, loss and validation.
    config : LoopConfig
        How long and how fast.
    generator : torch.Generator
        All chance.
    state : TrainingState, optional
        Continue from here.
    metrics : Path, optional
        JSON lines, one per step; lines past a resumed step are dropped first.
    checkpoint : callable, optional
        Called with the state every ``checkpoint_every`` steps, at the end, and after the step in which Ctrl-C
        came.
    progress : str, optional
        Label of the progress bar; none is drawn without it.
    compiled : bool
        Compile the module's ``forward`` first, which takes minutes and pays off in long runs; see
        `spectm.training.modes`.

    Raises
    ------
    TrainingError
        If there are no rows, or a loss is no longer a finite number.
    KeyboardInterrupt
        After Ctrl-C, once the step is finished and the checkpoint written.
    """
    if learner.n_rows < 1:
        raise TrainingError("training wants at least one row; found none. Is everything excluded or missing?")
    optimizer = torch.optim.AdamW(_groups(module, learner, config.weight_decay), lr=config.learning_rate)
    state = state or TrainingState()
    if fabric.is_global_zero:
        _truncate(metrics, state.step)
    if compiled:
        module.compile()
    wrapped, optimizer = fabric.setup(module, optimizer)
    if state.module is not None and state.optimizer is not None and state.generator is not None:
        module.load_state_dict(state.module)
        optimizer.load_state_dict(state.optimizer)  # goes where `setup` has put the parameters
        generator.set_state(state.generator)
    bar = _progress_bar(config.steps, state.step, progress)
    with _interruptible() as interrupt:
        stopped = False
        while state.step < config.steps and not _stalled(state, config) and not stopped:
            line = _step(fabric, wrapped, module, optimizer, learner, config, generator, state.step)
            state.step += 1
            if state.step % config.validate_every == 0 or state.step == config.steps:
                line["validation"] = _validate(module, learner, state)
            state.history.append(line)
            _append(fabric, metrics, line)
            bar.update()
            bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            if checkpoint and config.checkpoint_every and state.step % config.checkpoint_every == 0:
                checkpoint(_snapshot(state, module, optimizer, generator))
            stopped = _anywhere(fabric, interrupt.asked)
        bar.close()
        if checkpoint:
            checkpoint(_snapshot(state, module, optimizer, generator))
    if stopped or interrupt.asked:
        raise KeyboardInterrupt(f"stopped after step {state.step} of {config.steps}")
    if state.best:
        module.load_state_dict(state.best)
    return state


def _progress_bar(steps: int, done: int, label: str | None) -> "tqdm[NoReturn]":
    """Redrawn often on a terminal and seldom in a log."""
    seconds = 0.5 if sys.stderr.isatty() else 20.0
    return tqdm(
        total=steps, initial=done, desc=label, disable=label is None, leave=False, mininterval=seconds
    )


@dataclass(slots=True)
class _Interrupt:
    asked: bool = False


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Ctrl-C is noted and obeyed between steps, so whole steps are saved; a second one stops at once."""
    interrupt = _Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt  # signals reach the main thread only
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupt.asked = True
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)


def _anywhere(fabric: Fabric, asked: bool) -> bool:
    """Whether Ctrl-C reached any process: all stop after the same step, or one would wait for the others."""
    if fabric.world_size == 1:
        return asked
    votes = fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="sum")
    return float(votes) > 0  # type: ignore[arg-type]


def _groups(module: nn.Module, learner: Learner, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters by learning rate and decay: matrices decay; biases, norms and tokens do not."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            key = (learner.rate(name), weight_decay if parameter.ndim >= 2 else 0.0)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": group, "share": rate, "weight_decay": decay} for (rate, decay), group in groups.items()
    ]


def _step(
    fabric: Fabric,
    wrapped: nn.Module,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    learner: Learner,
    config: LoopConfig,
    generator: torch.Generator,
    step: int,
) -> dict[str, float]:
    """One optimiser step; what it cost, by task."""
    module.train()
    size = min(config.batch_size, learner.n_rows)
    rows = torch.randperm(learner.n_rows, generator=generator)[:size]
    batch = learner.batch(rows, generator)
    share = slice(fabric.global_rank, None, fabric.world_size)
    terms = wrapped(**{name: fabric.to_device(tensor[share]) for name, tensor in batch.items()})
    counts = {name: _global_count(fabric, term) for name, term in terms.items()}
    # Gradients will be averaged over processes: each takes its share of the mean times their number.
    means = {name: fabric.world_size * term.total / counts[name].clamp(min=1) for name, term in terms.items()}
    loss = learner.loss(module, means, counts)
    rate = learning_rate(config, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    fabric.clip_gradients(wrapped, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
    line = {
        name: float(_shared(fabric, mean.detach())) if counts[name] > 0 else math.nan
        for name, mean in means.items()
    }
    line = {"step": step + 1, "loss": float(_shared(fabric, loss.detach())), "learning_rate": rate, **line}
    if not math.isfinite(line["loss"]):
        raise TrainingError(
            f"the loss is {line['loss']} at step {step + 1}; try a smaller learning_rate (now {rate:.2g}) "
            f"and look at the "
            "input for infinities"
        )
    optimizer.step()
    return line


def _global_count(fabric: Fabric, term: LossTerm) -> Tensor:
    """How many values all processes scored together."""
    count = term.n.to(term.total.dtype)
    return fabric.all_reduce(count, reduce_op="sum") if fabric.world_size > 1 else count  # type: ignore[return-value]


def _shared(fabric: Fabric, value: Tensor) -> Tensor:
    """Mean of a number over processes."""
    return fabric.all_reduce(value, reduce_op="mean") if fabric.world_size > 1 else value  # type: ignore[return-value]


def _validate(module: nn.Module, learner: Learner, state: TrainingState) -> float:
    """Validation loss; the weights are kept where it is the best so far, or where there is no validation."""
    module.eval()
    with torch.no_grad():
        loss = learner.validation(module)
    if math.isnan(loss) or loss < state.best_loss:
        state.best_loss = loss
        state.best_step = state.step
        state.best = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
    return loss


def _stalled(state: TrainingState, config: LoopConfig) -> bool:
    return bool(config.patience) and state.step - state.best_step >= config.patience * config.validate_every


def _snapshot(
    state: TrainingState, module: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> TrainingState:
    state.module = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
    state.optimizer = optimizer.state_dict()
    state.generator = generator.get_state()
    return state


def _truncate(metrics: Path | None, step: int) -> None:
    """Drop lines of an earlier run, or those written after the checkpoint that a run resumes from."""
    if metrics is None:
        return
    metrics.parent.mkdir(parents=True, exist_ok=True)
    if not metrics.exists():
        return
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    metrics.write_text("".join(lines[:step]), encoding="utf-8")


def _append(fabric: Fabric, metrics: Path | None, line: dict[str, float]) -> None:
    if metrics is not None and fabric.is_global_zero:
        with metrics.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({key: None if math.isnan(value) else value for key, value in line.items()}) + "\n"
            )
