"""One measured number, and the machine that it was measured on."""

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Entry", "entry_of", "machine_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of ``benchmarks/results.json``.

    Parameters
    ----------
    name : str
        ``benchmark/device/dtype/mode/quantity``.
    value : float or None
        Median over the runs; None where it was not measured.
    unit : str
        Of the value.
    against : str or None
        Name of the entry that `ratio` divides by; None where there is nothing to compare with.
    ratio : float or None
        Value over the value of `against`.
    machine : str
        What it was measured on.
    runs : tuple of float
        The single runs that the value is the median of.
    note : str
        Why nothing was measured, or what to know about the number.
    """

    name: str
    value: float | None
    unit: str
    machine: str
    against: str | None = None
    ratio: float | None = None
    runs: tuple[float, ...] = field(default=())
    note: str = ""


def entry_of(
    benchmark: str,
    name: str,
    value: float,
    unit: str,
    *,
    against: str | None = None,
    ratio: float | None = None,
    runs: tuple[float, ...] = (),
    note: str = "",
) -> Entry:
    """One number of a benchmark, measured on this machine."""
    return Entry(
        name=f"{benchmark}/{name}",
        value=value,
        unit=unit,
        machine=machine_name(),
        against=against,
        ratio=ratio,
        runs=runs,
        note=note,
    )


def machine_name() -> str:
    """Processor and the number of cores that this process may use, for people to compare."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {n_cores} cores"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere `platform` knows more than there
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
