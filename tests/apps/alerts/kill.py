"""Runs of `spectm alerts` that are killed at random moments, one after the other.

python -m tests.apps.alerts.kill STORE RULES OUT SEED KILLS DAY ...: a run for each day is killed again and again
until it has been killed KILLS times in all, then all are run to their end. Children are forked, so that
torch is loaded once.
"""

import importlib
import os
import random
import signal
import sys
import time
from pathlib import Path

from spectm.apps.alerts.deliver import Patience
from spectm.apps.alerts.rules import read_rules
from spectm.apps.alerts.run import run_alerts
from spectm.apps.store import open_store

FEW = Patience(waits=(0.05,), seconds=20.0)


def once(store: str, rules: str, out: str, day: str, kill_after: float | None) -> tuple[bool, float]:
    """Whether a run came to its end, and how long it took."""
    start = time.monotonic()
    child = os.fork()
    if not child:
        code = 1
        try:
            done = run_alerts(open_store(store), read_rules(Path(rules)), Path(out), wanted=day, patience=FEW)
            code = 0 if not done.waiting else 3
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, time.monotonic() - start


def main() -> None:
    store, rules, out, seed, kills, *days = sys.argv[1:]
    for name in ("zarr.storage", "dask.array", "xarray.backends.zarr"):  # imported, not used: they start threads of their own
        importlib.import_module(name)
    rng = random.Random(int(seed))
    _, took = once(store, rules, f"{out}-unkilled", days[0], None)
    n_killed = 0
    while n_killed < int(kills):
        ended, _ = once(store, rules, out, rng.choice(days), rng.uniform(0, 1.1 * took))
        n_killed += not ended
    ends = [once(store, rules, out, day, None)[0] for day in days]
    print(f"{n_killed} killed, {took:.3f} s a run, {sum(ends)} of {len(days)} ended")


if __name__ == "__main__":
    main()
