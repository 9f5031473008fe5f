"""Runs of `spectm alerts` that are killed at random moments, one after the other.

python -m tests.apps.alerts.kill STORE RULES OUT SEED KILLS DAY ...: runs for days by chance, until KILLS of
them were killed, then one for each day to its end. Children are forked, so that torch is loaded once.
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
        if kill_after < 0:  # so soon after the journal grew, where there is most to lose
            known = size(out)
            while size(out) == known and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.0005)
        time.sleep(abs(kill_after))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, time.monotonic() - start


def size(out: str) -> int:
    """Of all files of a journal."""
    return sum(path.stat().st_size for path in Path(out).glob("*.jsonl"))


def main() -> None:
    store, rules, out, seed, kills, *days = sys.argv[1:]
    for name in (
        "zarr.storage",
        "dask.array",
        "xarray.backends.zarr",
    ):  # imported, not used: they start threads of their own
        importlib.import_module(name)
    rng = random.Random(int(seed))
    _, took = once(store, rules, f"{out}-unkilled", days[0], None)
    n_killed = 0
    while n_killed < int(kills):
        after = rng.uniform(0, 1.1 * took) if rng.random() < 0.3 else -rng.uniform(0, 0.03)
        ended, _ = once(store, rules, out, rng.choice(days), after)
        n_killed += not ended
    ends = [once(store, rules, out, day, None)[0] for day in days]
    print(  # noqa: T201
        f"{n_killed} killed, {took:.3f} s a run, {sum(ends)} of {len(days)} ended"
    )


if __name__ == "__main__":
    main()
