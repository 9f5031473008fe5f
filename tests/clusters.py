"""A dask cluster of two processes, and which of them did what."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def two_workers() -> Iterator[tuple[str, list[str]]]:
    """Address of the scheduler, and the worker of each task that was done, as they come in."""
    from distributed import LocalCluster
    from distributed.diagnostics.plugin import SchedulerPlugin

    done: list[str] = []

    class Watching(SchedulerPlugin):
        def transition(self, key, start, finish, *args, **details) -> None:
            if (start, finish) == ("processing", "memory"):
                done.append(details["worker"])

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        cluster.scheduler.add_plugin(Watching())
        yield cluster.scheduler_address, done
