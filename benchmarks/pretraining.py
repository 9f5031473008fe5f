"""How fast the default model pretrains, and what share of the machine's matrix products that is.

Every mode runs the loop that `spectm pretrain` runs, on made-up spectra of the OCI AOP band list. The modes
take turns, so that a machine that slows down slows all of them, and the products that a share is relative to
are timed in between.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import median
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.entry import Entry, machine_name
from spectm.data.patches import Patches
from spectm.model.masking import draw_mask
from spectm.model.spectm import SpecTM
from spectm.spectral.sensors import named_sensor
from spectm.training.loop import Batch, train
from spectm.training.modes import bfloat16_fallback
from spectm.training.pretrain import layout_for, seeded_model
from spectm.training.pretraining_data import PretrainingData, band_statistics, index_targets, pretraining_data
from spectm.training.settings import Settings

__all__ = ["MODES", "Mode", "TrainingBench", "measure", "measured_on"]

N_SPECTRA = 512
WARM_UP_STEPS = 3
LONG_ENOUGH_S = 0.05  # one matrix product of this length keeps every core busy
SIZES = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192)}
PRECISION: dict[str, Literal["32-true", "bf16-mixed"]] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to run the same training."""

    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False

    @property
    def name(self) -> str:
        """First part of the names of its entries."""
        return f"pretraining/{self.device}/{self.dtype}/{'compiled' if self.compiled else 'eager'}"

    @property
    def reference(self) -> "Mode":
        """Eager float32 on the same device."""
        return Mode(device=self.device)

    @property
    def peak(self) -> str:
        """Name of the entry of the matrix products of its device and type."""
        return f"pretraining/{self.device}/{self.dtype}/matmul_peak"

    @property
    def torch_dtype(self) -> torch.dtype:
        """Of the products: parameters stay float32 throughout."""
        return torch.float32 if self.dtype == "float32" else torch.bfloat16


MODES = tuple(
    Mode(device=device, dtype=dtype, compiled=compiled)
    for device in ("cpu", "cuda")
    for dtype in ("float32", "bfloat16")
    for compiled in (False, True)
)


def measure(
    settings: Settings | None = None,
    *,
    modes: Sequence[Mode] = MODES,
    n_runs: int = 5,
    seconds: float = 3.0,
    say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True),
) -> list[Entry]:
    """Throughput of every mode, and its share of the measured peak of matrix products.

    Parameters
    ----------
    settings : Settings, optional
        The model and its batch size; the defaults without it.
    modes : sequence of Mode
        What to run; eager float32 should be among them, as the others are compared with it.
    n_runs : int
        Turns that each mode gets.
    seconds : float
        About how long a turn takes.
    say : callable
        Given a line now and then.

    Returns
    -------
    list of Entry
        For each mode ``.../throughput`` in spectra/s, against eager float32, and ``.../products`` in GFLOP/s,
        against the peak; for each device and type ``.../matmul_peak``. A mode that can't run has no value and
        a note that says why.
    """
    settings = settings or Settings()
    bench = TrainingBench.make(settings)
    flops = bench.flops_per_step()
    say(f"{bench.batch_size} spectra a step, {flops / 1e9:.3g} GFLOP, {bench.n_parameters} parameters")
    ready, reasons = _prepared(bench, modes, seconds, say)
    rates: dict[Mode, list[float]] = {mode: [] for mode in ready}
    peaks: dict[str, list[float]] = {mode.peak: [] for mode in ready}
    for run in range(n_runs):
        for mode, (model, n_steps) in ready.items():
            rates[mode].append(bench.batch_size / bench.seconds_per_step(mode, model, n_steps))
        for mode in {mode.peak: mode for mode in ready}.values():
            peaks[mode.peak].append(_matmul_gflops(mode))
        say(
            f"run {run + 1} of {n_runs}: "
            + ", ".join(f"{rates[mode][-1]:.0f}" for mode in ready)
            + " spectra/s"
        )
    return _entries(modes, rates, peaks, reasons, flops / bench.batch_size)


def _prepared(
    bench: "TrainingBench", modes: Sequence[Mode], seconds: float, say: Callable[[str], None]
) -> tuple[dict[Mode, tuple[SpecTM, int]], dict[Mode, str]]:
    """Warm models with the number of steps that a turn takes, and why the others are missing."""
    ready, reasons = {}, {}
    for mode in modes:
        if mode.device == "cuda" and not torch.cuda.is_available():
            reasons[mode] = "not measured: torch finds no GPU here"
            continue
        try:
            model, duration = bench.warm(mode)
        except (RuntimeError, ImportError, OSError, ValueError) as error:  # no compiler, no bfloat16
            reasons[mode] = (
                f"not measured: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
            )
            say(f"{mode.name}: {reasons[mode]}")
            continue
        ready[mode] = model, max(WARM_UP_STEPS, round(seconds / duration))
        say(f"{mode.name}: warm, {duration * 1e3:.3g} ms a step")
    return ready, reasons


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBench:
    """Made-up spectra and settings, from which each mode makes its own model."""

    settings: Settings
    data: PretrainingData
    indices: Tensor

    @classmethod
    def make(cls, settings: Settings) -> "TrainingBench":
        """With the spectra of this module."""
        data = pretraining_data([_made_up_patches()])
        indices, _ = index_targets(data.spectrum, data.wavelength, np.ones(data.n_samples, dtype=bool))
        return cls(settings, data, indices)

    @property
    def batch_size(self) -> int:
        """Spectra a step."""
        return min(self.settings.pretraining.loop.batch_size, self.data.n_samples)

    @property
    def n_parameters(self) -> int:
        """Of the model."""
        return sum(parameter.numel() for parameter in self.model().parameters())

    def model(self) -> SpecTM:
        """Fresh, with the weights of seed 0."""
        layout = layout_for(self.settings, self.data.wavelength)
        statistics = band_statistics(self.data.Rrs, layout, self.settings.preprocess)
        return seeded_model(self.settings, layout, statistics, self.indices.shape[1], seed=0)

    def warm(self, mode: Mode) -> tuple[SpecTM, float]:
        """A model that has trained a few steps in this mode, and its time per step."""
        model = self.model()
        self.seconds_per_step(mode, model, WARM_UP_STEPS)
        return model, self.seconds_per_step(mode, model, WARM_UP_STEPS)

    def seconds_per_step(self, mode: Mode, model: SpecTM, n_steps: int) -> float:
        """Train; batches, masks, losses and the optimiser included."""
        fabric = _fabric(mode.device, mode.dtype)
        loop = replace(self.settings.pretraining.loop, steps=n_steps, validate_every=n_steps)
        learner = _Learner(self.data, self.indices, model, self.settings)
        generator = torch.Generator().manual_seed(0)
        started = time.perf_counter()
        train(fabric, model, learner, loop, generator, compiled=mode.compiled)
        if mode.device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / n_steps

    def flops_per_step(self) -> int:
        """Floating-point operations of the matrix products of one step, forward and backward.

        Attention counts as its two products: the fused kernels of some devices are unknown to the counter.
        """
        model = self.model()
        learner = _Learner(self.data, self.indices, model, self.settings)
        batch = learner.batch(torch.arange(self.batch_size), torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            terms = model(**batch)
            means = {name: term.total / term.n.clamp(min=1) for name, term in terms.items()}
            torch.autograd.backward(model.joint_loss(means, {name: term.n for name, term in terms.items()}))
        return int(counter.get_total_flops())


class _Learner:
    """What the loop asks of pretraining, without validation."""

    def __init__(self, data: PretrainingData, indices: Tensor, model: SpecTM, settings: Settings) -> None:
        self.layout, self.masking, self.n_rows = model.encoder.layout, settings.masking, data.n_samples
        self.tensors = {"Rrs": data.Rrs, "indices": indices, "ahead": data.ahead}
        self.tensors |= {"day_of_year": data.day_of_year, "lead_days": data.lead_days}

    def batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        mask = draw_mask(self.layout, self.masking, rows.numel(), generator)
        of_rows = {name: tensor[rows] for name, tensor in self.tensors.items()}
        return of_rows | {"hidden": mask.hidden, "scored": mask.scored}

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        assert isinstance(module, SpecTM)
        return module.joint_loss(means, counts)

    def validation(self, module: nn.Module) -> float:
        return float("nan")

    def rate(self, parameter: str) -> float:
        return 1.0


@cache
def _fabric(device: str, dtype: str) -> Fabric:
    """Made once, as it announces itself each time."""
    return Fabric(accelerator=device, devices=1, precision=PRECISION[dtype])


def _made_up_patches() -> Patches:
    """Blooms that come and go at 16 stations, seen every fourth day, 3 x 3 pixels; some are missing."""
    rng = np.random.default_rng(0)
    wavelength = named_sensor("oci-aop-v3").wavelength.astype(np.float64)
    day, station = np.divmod(np.arange(N_SPECTRA), 16)
    bloom = np.sin(np.pi * day / day.max()) * rng.uniform(0.5, 1.5, N_SPECTRA)
    green = np.exp(-(((wavelength - 560) / 60) ** 2))
    red = np.exp(-(((wavelength - 705) / 12) ** 2)) - 0.5 * np.exp(-(((wavelength - 628) / 10) ** 2))
    spectrum = 0.003 + 0.008 * green + 0.006 * bloom[:, None] * red  # (sample, band)
    Rrs = spectrum[..., None, None] * rng.normal(1, 0.03, (N_SPECTRA, wavelength.size, 3, 3))
    Rrs[::5, :, 0, 0] = np.nan
    return Patches(
        Rrs=Rrs.astype(np.float32),
        wavelength=wavelength,
        time=np.datetime64("2024-05-01T18:00", "ns") + day * np.timedelta64(4, "D"),
        station=np.array([f"station {number}" for number in station]),
        latitude=np.full(N_SPECTRA, 41.7),
        longitude=np.full(N_SPECTRA, -83.3),
        source="made up",
    )


def _matmul_gflops(mode: Mode) -> float:
    """Best rate of square products of the mode's type, growing until one takes long enough.

    Both layouts of the second factor are tried: emulated bfloat16 is much faster in that of linear layers.
    """
    best = 0.0
    for size in SIZES[mode.device]:
        a, b = (torch.randn(size, size, device=mode.device).to(mode.torch_dtype) for _ in range(2))
        shortest = min(_seconds(a, factor) for factor in (b, b.T) for _ in range(3))
        best = max(best, 2 * size**3 / shortest / 1e9)
        if shortest > LONG_ENOUGH_S:
            break
    return best


def _seconds(a: Tensor, b: Tensor) -> float:
    started = time.perf_counter()
    a @ b
    if a.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _entries(
    modes: Sequence[Mode],
    rates: dict[Mode, list[float]],
    peaks: dict[str, list[float]],
    reasons: dict[Mode, str],
    flops_per_spectrum: float,
) -> list[Entry]:
    """Medians and ratios; peaks first, as shares are relative to them."""
    machines = {device: measured_on(device) for device in dict.fromkeys(mode.device for mode in modes)}
    entries = []
    for name, mode in {mode.peak: mode for mode in reversed(modes)}.items():
        note = reasons.get(mode, "") if name not in peaks else _emulated(mode)
        entries.append(_entry(name, "GFLOP/s", machines[mode.device], peaks.get(name, []), note=note))
    entries.reverse()
    for mode in modes:
        runs, machine, note = rates.get(mode, []), machines[mode.device], reasons.get(mode) or _emulated(mode)
        reference, peak = rates.get(mode.reference, []), peaks.get(mode.peak, [])
        name = f"{mode.name}/throughput"
        against = f"{mode.reference.name}/throughput"
        entries.append(_entry(name, "spectra/s", machine, runs, against, reference, note))
        products = [rate * flops_per_spectrum / 1e9 for rate in runs]
        entries.append(_entry(f"{mode.name}/products", "GFLOP/s", machine, products, mode.peak, peak, note))
    return entries


def _entry(
    name: str,
    unit: str,
    machine: str,
    runs: Sequence[float],
    against: str | None = None,
    against_runs: Sequence[float] = (),
    note: str = "",
) -> Entry:
    value = median(runs) if runs else None
    ratio = value / median(against_runs) if value is not None and against_runs else None
    return Entry(
        name=name,
        value=value,
        unit=unit,
        machine=machine,
        against=against,
        ratio=ratio,
        runs=tuple(runs),
        note=note,
    )


def measured_on(device: str) -> str:
    """What was measured on: torch's version and the device."""
    on_gpu = device == "cuda" and torch.cuda.is_available()
    return f"torch {torch.__version__}, " + (torch.cuda.get_device_name() if on_gpu else machine_name())


def _emulated(mode: Mode) -> str:
    """A word on bfloat16 where the processor has no such products: torch computes them all the same."""
    if mode.dtype == "float32" or mode.device != "cpu" or bfloat16_fallback(torch.device("cpu")) is None:
        return ""
    return "this processor has no bfloat16 products; torch emulates them"
