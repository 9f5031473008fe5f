"""A bar that says what is being done, and how long it will take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(doing: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """Function to call with what is done, all there is to do, and what is at work now.

    Shown on a terminal only: in a log the lines would pile up.
    """
    with tqdm(desc=doing, unit=unit, mininterval=0.5, leave=False, disable=None) as bar:

        def show(done: int, total: int, what: str) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(what, refresh=False)
            bar.refresh()

        yield show
