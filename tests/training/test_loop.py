import json
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spectm.errors import ConfigError, TrainingError
from spectm.model.spectm import LossTerm
from spectm.training.loop import LoopConfig, TrainingState, learning_rate, train


class Line(nn.Module):
    """Least squares on one feature, in the form that the loop trains."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[0.5]]))
        self.offset = nn.Parameter(torch.tensor([1.0]))

    def forward(self, x: Tensor, y: Tensor) -> dict[str, LossTerm]:
        error = (x * self.matrix[0, 0] + self.offset[0] - y).square()
        return {"square": LossTerm(error.sum(), torch.tensor(len(y)))}


class LineLearner:
    """Twelve points on y = 3 x - 2, with hooks for what the tests need."""

    def __init__(self, *, scale: float = 1.0, validation: list[float] | None = None) -> None:
        self.x = torch.linspace(-1, 1, 12)
        self.y = 3 * self.x - 2
        self.n_rows, self.scale, self.scripted = 12, scale, validation
        self.rates: dict[str, float] = {}
        self.before_batch: Callable[[int], None] = lambda n_drawn: None
        self.drawn: list[list[int]] = []

    def batch(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        self.before_batch(len(self.drawn))
        self.drawn.append(rows.tolist())
        return {"x": self.x[rows], "y": self.y[rows]}

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        return self.scale * means["square"]

    def validation(self, module: nn.Module) -> float:
        return math.nan if self.scripted is None else self.scripted.pop(0)

    def rate(self, parameter: str) -> float:
        return self.rates.get(parameter, 1.0)


def run(learner: LineLearner, *, seed: int = 0, **options: object) -> tuple[Line, TrainingState]:
    config = {"steps": 10, "batch_size": 5, "validate_every": 2, "learning_rate": 0.1} | {
        key: options.pop(key) for key in list(options) if key in LoopConfig.__dataclass_fields__
    }
    module = options.pop("module", None) or Line()
    fabric = Fabric(accelerator="cpu", devices=1)
    generator = torch.Generator().manual_seed(seed)
    return module, train(fabric, module, learner, LoopConfig(**config), generator, **options)


def test_the_schedule_by_hand() -> None:
    config = LoopConfig(steps=24, warmup_share=0.17, learning_rate=0.8)  # 4 steps of warm-up, 20 of cosine
    assert [learning_rate(config, step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert learning_rate(config, 4) == pytest.approx(0.8)
    assert learning_rate(config, 14) == pytest.approx(0.8 * 0.505)  # half-way between 1 and 0.01
    assert learning_rate(config, 9) == pytest.approx(0.8 * (0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2))
    assert learning_rate(config, 24) == pytest.approx(0.008)
    assert all(learning_rate(config, step) > learning_rate(config, step + 1) for step in range(4, 24))
    assert learning_rate(LoopConfig(steps=1, learning_rate=0.8), 0) == 0.8
    assert learning_rate(LoopConfig(steps=10, warmup_share=1, learning_rate=1.0), 9) == 1.0


def test_training_learns_and_writes_one_line_a_step(tmp_path: Path) -> None:
    metrics = tmp_path / "new" / "metrics.jsonl"
    learner = LineLearner(validation=[3.0, 2.0, 1.0, 0.5, 0.25])
    module, state = run(learner, metrics=metrics, steps=9)
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert lines == state.history
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert [line.get("validation") for line in lines] == [None, 3.0, None, 2.0, None, 1.0, None, 0.5, 0.25]
    assert all(line["loss"] == line["square"] for line in lines)
    config = LoopConfig(steps=9, learning_rate=0.1)
    assert [line["learning_rate"] for line in lines] == [learning_rate(config, step) for step in range(9)]
    assert all(len(set(rows)) == 5 for rows in learner.drawn)  # without repetition
    first_x, first_y = learner.x[learner.drawn[0]], learner.y[learner.drawn[0]]
    assert lines[0]["loss"] == pytest.approx(float((0.5 * first_x + 1 - first_y).square().mean()), rel=1e-6)
    assert module.matrix.item() > 0.5


def test_without_validation_the_metrics_say_null(tmp_path: Path) -> None:
    _, state = run(LineLearner(), metrics=tmp_path / "metrics.jsonl", steps=3)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line.get("validation", "none") for line in lines] == ["none", None, None]
    assert state.best_step == 3


@pytest.mark.slow
def test_enough_steps_find_the_line() -> None:
    module, _ = run(LineLearner(), steps=150, batch_size=50, weight_decay=0.0)
    assert (module.matrix.item(), module.offset.item()) == pytest.approx((3, -2), abs=0.01)


def test_gradients_are_clipped_as_a_whole() -> None:
    module, _ = run(LineLearner(scale=1e6), steps=1, clip_norm=0.5)
    norm = math.hypot(module.matrix.grad.item(), module.offset.grad.item())
    assert norm == pytest.approx(0.5, rel=1e-4)
    learner = LineLearner(scale=1e-3)
    untouched, _ = run(learner, steps=1, clip_norm=0.5)
    x, y = learner.x[learner.drawn[0]], learner.y[learner.drawn[0]]
    assert untouched.offset.grad.item() == pytest.approx(2e-3 * float((0.5 * x + 1 - y).mean()), rel=1e-4)


def test_only_matrices_decay() -> None:
    module, _ = run(LineLearner(scale=0.0), steps=4, warmup_share=0.0, weight_decay=0.2, learning_rate=0.1)
    config = LoopConfig(steps=4, warmup_share=0.0, learning_rate=0.1)
    factor = math.prod(1 - 0.2 * learning_rate(config, step) for step in range(4))
    assert module.matrix.item() == pytest.approx(0.5 * factor, rel=1e-5)
    assert module.offset.item() == 1.0


def test_every_parameter_has_its_share_of_the_rate() -> None:
    learner = LineLearner()
    learner.rates = {"offset": 0.25}
    module, _ = run(learner, steps=1, weight_decay=0.0, warmup_share=0.0)
    # the first step of Adam is the rate itself, whatever the gradient
    assert abs(module.matrix.item() - 0.5) == pytest.approx(0.1, rel=1e-4)
    assert abs(module.offset.item() - 1.0) == pytest.approx(0.025, rel=1e-4)


def test_frozen_parameters_stay() -> None:
    module = Line()
    module.matrix.requires_grad_(False)
    run(LineLearner(), module=module)
    assert module.matrix.item() == 0.5
    assert module.offset.item() != 1.0


def test_training_stops_early_and_keeps_the_best() -> None:
    seen: list[float] = []
    learner = LineLearner(validation=[5.0, 2.0, 3.0, 2.5, 9.0, 9.0])

    class Watching(LineLearner):
        def validation(self, module: nn.Module) -> float:
            seen.append(module.matrix.item())
            return learner.validation(module)

    module, state = run(Watching(), steps=100, validate_every=3, patience=2)
    assert len(seen) == 4  # two looks after the best one, not more
    assert (state.step, state.best_step, state.best_loss) == (12, 6, 2.0)
    assert module.matrix.item() == seen[1]
    assert state.best["matrix"].item() == seen[1]


def test_patience_zero_goes_on_and_still_keeps_the_best() -> None:
    module, state = run(LineLearner(validation=[1.0, 2.0, 2.0, 2.0, 2.0]), patience=0)
    assert (state.step, state.best_step) == (10, 2)
    assert torch.equal(module.matrix, state.best["matrix"])
    assert state.module is None  # nobody asked for a checkpoint


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (run(LineLearner(), seed=seed)[0].matrix.item() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == again != other


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_training(bad: float) -> None:
    learner = LineLearner()

    def spoil(n_drawn: int) -> None:
        if n_drawn == 3:
            learner.y = learner.y + bad

    learner.before_batch = spoil
    module = Line()
    with pytest.raises(TrainingError, match=rf"the loss is {bad} at step 4; try a smaller learning_rate"):
        run(learner, module=module)
    assert module.matrix.isfinite().all()  # the step was not taken
    assert module.offset.isfinite().all()


def test_no_rows_stop_training() -> None:
    learner = LineLearner()
    learner.n_rows = 0
    with pytest.raises(TrainingError, match="at least one row; found none"):
        run(learner)


def test_checkpoints_come_when_asked_and_at_the_end() -> None:
    steps: list[int] = []
    run(LineLearner(), checkpoint=lambda state: steps.append(state.step), checkpoint_every=4)
    assert steps == [4, 8, 10]
    steps.clear()
    run(LineLearner(), checkpoint=lambda state: steps.append(state.step))
    assert steps == [10]


class Kept:
    """A checkpoint in memory: what a file would hold at that moment."""

    def __init__(self) -> None:
        self.state: TrainingState | None = None

    def __call__(self, state: TrainingState) -> None:
        self.state = TrainingState(**asdict(state))  # asdict copies


def at_batch(n: int, *, times: int = 1) -> Callable[[int], None]:
    def interrupt(n_drawn: int) -> None:
        if n_drawn == n:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)  # to this thread: two sent to a process may merge

    return interrupt


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 3, 4, 9])
def test_ctrl_c_and_resume_end_where_an_undisturbed_run_does(tmp_path: Path, at: int) -> None:
    losses = [5.0, 2.0, 3.0, 1.0, 4.0]
    metrics = [tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"]
    whole, final = run(LineLearner(validation=losses.copy()), metrics=metrics[0])
    handler = signal.getsignal(signal.SIGINT)
    learner, kept = LineLearner(validation=losses.copy()), Kept()
    learner.before_batch = at_batch(at)
    with pytest.raises(KeyboardInterrupt, match=f"stopped after step {at + 1} of 10"):
        run(learner, metrics=metrics[1], checkpoint=kept)
    assert signal.getsignal(signal.SIGINT) is handler
    assert kept.state is not None
    assert kept.state.step == at + 1  # the step was finished
    rest = LineLearner(validation=losses[(at + 1) // 2 :])
    resumed, state = run(rest, seed=99, metrics=metrics[1], state=kept.state)  # the seed is in the state
    assert len(rest.drawn) == 9 - at
    assert torch.equal(whole.matrix, resumed.matrix)
    assert torch.equal(whole.offset, resumed.offset)
    assert state.history == final.history
    assert (state.best_step, state.best_loss) == (final.best_step, final.best_loss) == (8, 1.0)
    assert metrics[0].read_text() == metrics[1].read_text()


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGINT raises, also where the tests run in a shell's background, which ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("heard")
def test_a_second_ctrl_c_stops_at_once() -> None:
    learner = LineLearner()
    learner.before_batch = at_batch(3, times=2)
    handler = signal.getsignal(signal.SIGINT)
    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        run(learner, checkpoint=kept)
    assert kept.state is None
    assert signal.getsignal(signal.SIGINT) is handler


def test_lines_written_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    metrics, kept = tmp_path / "metrics.jsonl", Kept()
    learner = LineLearner()

    def break_down(n_drawn: int) -> None:
        if n_drawn == 7:
            raise RuntimeError("power cut")

    learner.before_batch = break_down
    with pytest.raises(RuntimeError, match="power cut"):
        run(learner, metrics=metrics, checkpoint=kept, checkpoint_every=4)
    assert len(metrics.read_text().splitlines()) == 7
    assert kept.state is not None
    run(LineLearner(), metrics=metrics, state=kept.state)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == list(range(1, 11))
    run(LineLearner(), metrics=metrics, steps=2)  # a new run in the same place starts a new file
    assert len(metrics.read_text().splitlines()) == 2


def test_a_finished_run_resumes_to_itself() -> None:
    kept = Kept()
    module, _ = run(LineLearner(validation=[1.0, 0.5, 2.0, 2.0, 2.0]), checkpoint=kept)
    idle = LineLearner()
    again, state = run(idle, state=kept.state)
    assert idle.drawn == []
    assert state.step == 10
    assert torch.equal(module.matrix, again.matrix)


def test_a_progress_bar_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    run(LineLearner())
    assert capsys.readouterr().err == ""
    run(LineLearner(), progress="a line")
    assert "a line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("steps", 0, "steps=0"),
        ("batch_size", 0, "batch_size=0"),
        ("validate_every", 0, "validate_every=0"),
        ("learning_rate", 0.0, "learning_rate=0"),
        ("learning_rate", math.nan, "learning_rate=nan"),
        ("warmup_share", 1.5, "warmup_share=1.5"),
        ("weight_decay", -0.1, "weight_decay=-0.1"),
        ("clip_norm", 0.0, "clip_norm=0.0"),
        ("patience", -1, "patience=-1"),
        ("checkpoint_every", -2, "checkpoint_every=-2"),
    ],
)
def test_impossible_settings_are_refused(setting: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LoopConfig(**{setting: value})
