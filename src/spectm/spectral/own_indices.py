"""Indices of one's own: from text, or from a function in Python; and the set that a model uses."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import ConfigError
from spectm.spectral.expressions import parse_expression
from spectm.spectral.indices import INDICES, Index, checked_index

__all__ = ["index_set", "register_index", "registered", "registered_indices", "restore"]

FloatArray = npt.NDArray[np.floating[Any]]
IndexFunction = Callable[[FloatArray, FloatArray], FloatArray]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REGISTERED: dict[str, Index] = {}


def register_index(
    name: str, function: IndexFunction, *, units: str, needs_nm: Sequence[float], reference: str
) -> None:
    """Make a function in Python known as an index; models use it where their settings name it.

    Parameters
    ----------
    name : str
        Letters, digits, underscores.
    function : callable
        Takes ``Rrs``, shape (..., n_bands), and ``wavelength``, shape (n_bands,), nm; returns shape (...).
    units : str
    needs_nm : sequence of float
        Band centres that have to be there, within 5 nm.
    reference : str
        Paper or other source.

    Raises
    ------
    ConfigError
        If the name is taken, or is none.

    Examples
    --------
    >>> def green_peak(Rrs, wavelength):
    ...     return Rrs[..., abs(wavelength - 560).argmin()]
    >>> register_index("green_peak", green_peak, units="sr^-1", needs_nm=[560], reference="an example")
    >>> index_set(["green_peak"], built_in=False)["green_peak"].needs_nm
    (560.0,)
    """
    _check_name(name)
    if name in _REGISTERED:
        raise ConfigError(f"an index named {name!r} is registered already. Give this one another name.")
    _REGISTERED[name] = checked_index(name, function, units=units, needs_nm=needs_nm, reference=reference)


def registered_indices() -> tuple[str, ...]:
    """Names that `register_index` was given."""
    return tuple(_REGISTERED)


def registered() -> tuple[Index, ...]:
    """What is registered, for a process that has to know it, too."""
    return tuple(_REGISTERED.values())


def restore(indices: Iterable[Index]) -> None:
    """Register again what `registered` gave in another process."""
    _REGISTERED.update({one.name: one for one in indices})


def index_set(own: Sequence[str] = (), *, built_in: bool = True) -> dict[str, Index]:
    """Indices by name: those that ship, and those of one's own.

    Parameters
    ----------
    own : sequence of str
        Each ``name = expression`` (`spectm.spectral.expressions`), or the name of a registered one.
    built_in : bool
        Whether those that ship, made for water, are among them.

    Raises
    ------
    ConfigError
        If an expression can't be read, a name is taken twice, or nothing is registered under it.

    Examples
    --------
    >>> chosen = index_set(["ndre = (r750 - r705) / (r750 + r705)"], built_in=False)
    >>> chosen["ndre"].needs_nm
    (705.0, 750.0)
    """
    chosen = dict(INDICES) if built_in else {}
    for text in own:
        index = _read(text)
        if index.name in chosen:
            raise ConfigError(
                f"indices: the name {index.name!r} is there twice. Give one of them another name."
            )
        chosen[index.name] = index
    return chosen


def _read(text: str) -> Index:
    name, equals, expression = (part.strip() for part in text.partition("="))
    if equals:
        _check_name(name)
        parsed = parse_expression(expression)
        return checked_index(
            name, parsed, units="1", needs_nm=parsed.needs_nm, reference=f"own: {parsed.text}"
        )
    if name not in _REGISTERED:
        known = ", ".join(_REGISTERED) or "none"
        raise ConfigError(
            f"indices: wanted 'name = expression' or the name of a registered index ({known}), found "
            f"{text!r}. An index from Python is registered by the file given with --python."
        )
    return _REGISTERED[name]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"an index wants a name of letters, digits and underscores, found {name!r}.")
    if name in INDICES:
        raise ConfigError(f"an index named {name!r} ships with the package. Give this one another name.")
