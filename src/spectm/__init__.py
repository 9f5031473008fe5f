"""Spectral targeted masking for hyperspectral water colour, and microcystin from it (arXiv 2603.22097)."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectm.training.forecaster import Forecaster

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(name: str | Path) -> "Forecaster":
    """A released model by its name, such as "erie-2024", or one of a folder.

    Raises
    ------
    CheckpointError
        If there is no such model.
    """
    from spectm.training import released  # torch is not needed to ask for the version

    return released.load(name)
