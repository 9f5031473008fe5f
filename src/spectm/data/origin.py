"""Simulated or real: said by one attribute in everything that is made, and never mixed unawares."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spectm.errors import OriginError

__all__ = ["SIMULATED", "is_simulated", "origin_mark", "same_origin"]

SIMULATED = "simulated"
"""Attribute (1) of files, and key (true) of records, of what was simulated or was made from it."""


def is_simulated(attrs: Mapping[Any, Any]) -> bool:
    """Whether attributes or a record say that something was simulated.

    Examples
    --------
    >>> is_simulated({"simulated": 1}), is_simulated({"title": "OCI Level-2 Data AOP"})
    (True, False)
    """
    return bool(np.any(attrs.get(SIMULATED, 0)))


def origin_mark(simulated: bool) -> dict[str, int]:
    """Attributes that say so; none for what is real, whose files stay as they were."""
    return {SIMULATED: 1} if simulated else {}


def same_origin(parts: Iterable[tuple[str, bool]]) -> bool:
    """Whether things that belong together are simulated, all of them or none.

    Parameters
    ----------
    parts : iterable of (str, bool)
        What each is called, and whether it is simulated.

    Raises
    ------
    OriginError
        If some are simulated and others are real.

    Examples
    --------
    >>> same_origin([("a.nc", True), ("b.nc", True)])
    True
    """
    parts = list(parts)
    simulated = [name for name, made_up in parts if made_up]
    real = [name for name, made_up in parts if not made_up]
    if simulated and real:
        raise OriginError(
            f"wanted real data or simulated data, found both: simulated {_some(simulated)}, real "
            f"{_some(real)}. Neither tells anything about the other; give those of one kind."
        )
    return bool(simulated)


def _some(names: list[str]) -> str:
    more = len(names) - 2
    return ", ".join(names[:2]) + (f" and {more} more" if more > 0 else "")
