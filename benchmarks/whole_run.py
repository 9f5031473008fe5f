"""What compiling does to a whole default pretraining: the compiler's time counts.

Each run is a fresh process with an empty compiler cache, as for a person who trains once; a second compiled
run finds what the first one has compiled.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.entry import Entry
from benchmarks.pretraining import measured_on

__all__ = ["measure"]

NAME = "whole_pretraining/cpu/float32"
ROOT = Path(__file__).parents[1]


def measure(say: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)) -> list[Entry]:
    """Seconds of a default pretraining, eager and compiled, with its process's own start left out."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, flag in (("eager", False), ("compiled_first", True), ("compiled_again", True)):
            seconds[name] = _run(flag, cache)
            say(f"{name}: {seconds[name]:.1f} s")
    return [
        Entry(
            name=f"{NAME}/{name}",
            value=value,
            unit="s",
            machine=measured_on("cpu"),
            against=f"{NAME}/eager",
            ratio=value / seconds["eager"],
            runs=(value,),
            note="steps of the default settings, compilation included; smaller is faster",
        )
        for name, value in seconds.items()
    ]


def _run(compiled: bool, cache: str) -> float:
    """Train in a process of its own; the seconds that it prints."""
    code = (
        "from benchmarks.pretraining import Mode, TrainingBench\n"
        "from spectm.training.settings import Settings\n"
        "settings = Settings()\n"
        "bench = TrainingBench.make(settings)\n"
        f"mode = Mode(compiled={compiled})\n"
        "n_steps = settings.pretraining.loop.steps\n"
        "print(n_steps * bench.seconds_per_step(mode, bench.model(), n_steps))\n"
    )
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])
