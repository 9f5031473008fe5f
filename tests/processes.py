"""Other processes: they may take their time on a busy machine, but not for ever."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

PATIENCE_S = 300.0  # many times what anything here takes: only what hangs is given up


def run(
    words: Sequence[str], env: Mapping[str, str] | None = None, patience_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """What a command says and how it ends; one that hangs is stopped with all that it has started."""
    with subprocess.Popen(
        words,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=patience_s)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def python(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """As `run`, with another interpreter."""
    return run([sys.executable, *words], env)
