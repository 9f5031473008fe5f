"""Who does the tasks: threads of this machine, or a cluster that is already there."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from spectm.errors import CubeError

__all__ = ["n_cores", "task_executor"]


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def task_executor(cluster: str | None, n_workers: int) -> Iterator[tuple[Executor, int]]:
    """Threads of this machine, or a dask.distributed cluster; and how many tasks it runs at once.

    Parameters
    ----------
    cluster : str, optional
        Address of a scheduler, whose workers see the same files.
    n_workers : int
        Threads, without a cluster.

    Raises
    ------
    CubeError
        If no scheduler answers.
    """
    if cluster is None:
        executor = ThreadPoolExecutor(n_workers)
        try:
            yield executor, n_workers
        finally:
            executor.shutdown(cancel_futures=True)
        return
    from distributed import Client

    try:
        # Not the default one: that would draw every later dask array of this process to the cluster.
        client: Any = Client(cluster, timeout="30s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise CubeError(
            f"wanted a dask.distributed scheduler, found none at {cluster}: {error}. Start one with `dask "
            "scheduler` and workers with `dask worker`, and give its address, such as tcp://host:8786."
        ) from error
    with client:
        yield client.get_executor(pure=False), max(1, sum(client.nthreads().values()))
