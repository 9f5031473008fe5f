"""Spectral indices written as text, such as ``(r750 - r705) / (r750 + r705)``: read, never executed.

``r705`` is the reflectance in the band nearest to 705 nm (``r705.5`` works too). Allowed are numbers,
``+ - * /``, ``**`` with a number as exponent, parentheses and the functions of `FUNCTIONS`. Anything else is
an error: the text comes from files, and nothing in a file may run code.
"""

import ast
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.errors import ConfigError
from spectm.spectral.indices import MIN_DENOMINATOR
from spectm.spectral.sensors import nearest_band

__all__ = ["FUNCTIONS", "Expression", "parse_expression"]

FloatArray = npt.NDArray[np.floating[Any]]

LONGEST = 500  # characters: an index is a line, and a parser's stack is not endless
LARGEST_EXPONENT = 8.0
LARGEST_NUMBER = 1e30
_BAND = re.compile(r"\br(\d+(?:\.\d+)?)\b")
_MARK = "band_"  # before the number of a band once it is a name that Python can read
_OPERATIONS: dict[type[ast.AST], Callable[..., FloatArray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


def _positive(function: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    """The function, NaN where its argument is not positive."""
    return lambda values: function(np.where(values > 0, values, np.nan))


FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": _positive(np.log),
    "log10": _positive(np.log10),
    "sqrt": _positive(np.sqrt),
}
"""What an expression may call, of one argument; logarithm and root are NaN where it is not positive."""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An index that was read from text.

    Parameters
    ----------
    text : str
        As written.
    needs_nm : tuple of float
        Wanted band centres, nm, increasing.
    tree : ast.expr
        Checked: nothing but what `parse_expression` allows.
    """

    text: str
    needs_nm: tuple[float, ...]
    tree: ast.expr

    def __call__(self, Rrs: FloatArray, wavelength: FloatArray) -> FloatArray:
        """The index, shape (...), float64.

        Parameters
        ----------
        Rrs : ndarray, shape (..., n_bands)
            NaN means missing, and gives NaN where the band is needed.
        wavelength : ndarray, shape (n_bands,)
            Band centres, nm, increasing.

        Raises
        ------
        BandNotFoundError
            If a band that is needed is more than 5 nm away.
        """
        bands = {nm: np.asarray(Rrs[..., nearest_band(wavelength, nm)], np.float64) for nm in self.needs_nm}
        with np.errstate(all="ignore"):
            found = np.asarray(_value(self.tree, bands), dtype=np.float64)
        return np.where(np.isfinite(found), found, np.nan)


def parse_expression(text: str) -> Expression:
    """Expression of an index.

    Parameters
    ----------
    text : str
        Such as ``(r750 - r705) / (r750 + r705)``. A band stands for Rrs, sr^-1: of a surface whose
        reflectance is R it is R / pi, which matters where constants are added.

    Returns
    -------
    Expression
        A quotient is NaN where its denominator lies within 1e-4 of zero.

    Raises
    ------
    ConfigError
        If it holds anything but bands, numbers, arithmetic and the functions of `FUNCTIONS`, or no band.

    Examples
    --------
    >>> ndre = parse_expression("(r750 - r705) / (r750 + r705)")
    >>> print(ndre(np.array([0.1, 0.3]), np.array([705.0, 750.0])).round(3))
    0.5
    """
    if len(text) > LONGEST:
        raise ConfigError(f"an index wants at most {LONGEST} characters, found {len(text)}. Make it several.")
    text = unicodedata.normalize("NFKC", text)  # as Python reads names
    needs = sorted({float(nm) for nm in _BAND.findall(text)})
    if not needs:
        raise ConfigError(f"an index wants bands, such as r705 for 705 nm; found none in {text!r}.")
    if _MARK in text:
        raise ConfigError(
            f"an index names a band by its wavelength, such as r705; found {_MARK!r} in {text!r}."
        )
    try:
        tree = ast.parse(_BAND.sub(_readable, text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "msg", None) or error
        raise ConfigError(f"can't read the index {text!r}: {said}. Are all parentheses closed?") from None
    _check(tree, text)
    return Expression(text, tuple(needs), tree)


def _readable(match: re.Match[str]) -> str:
    return _MARK + match[1].replace(".", "_")


def _nm(name: str) -> float:
    return float(name.removeprefix(_MARK).replace("_", "."))


def _check(node: ast.expr, text: str) -> None:
    """Refuse what is not allowed."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and _is_small(value):
            inner: list[ast.expr] = []
        case ast.Name(id=name) if name.startswith(_MARK):
            inner = []
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            inner = [operand]
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            power = _number(exponent)
            if power is None or abs(power) > LARGEST_EXPONENT:
                raise ConfigError(
                    f"an exponent is a number from -{LARGEST_EXPONENT:g} to {LARGEST_EXPONENT:g}; found "
                    f"another in {text!r}."
                )
            inner = [base]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            inner = [left, right]
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            inner = [argument]
        case _:
            found = ast.unparse(node).replace(_MARK, "r")
            raise ConfigError(
                f"an index may hold bands (r705), numbers, + - * / **, parentheses and the functions "
                f"{', '.join(FUNCTIONS)}; found {found!r} in {text!r}. "
                "Register a function in Python for more."
            )
    for one in inner:
        _check(one, text)


def _is_small(value: float) -> bool:
    """Whether a number fits a float."""
    return abs(value) < LARGEST_NUMBER


def _number(node: ast.expr) -> float | None:
    """A number that stands in the text, with its sign."""
    match node:
        case ast.Constant(value=int() | float() as value) if _is_small(value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -float(value) if _is_small(value) else None
    return None


def _value(node: ast.expr, bands: Mapping[float, FloatArray]) -> FloatArray:
    """Value of a tree that was checked."""
    match node:
        case ast.Constant(value=value):
            return np.asarray(value, dtype=np.float64)
        case ast.Name(id=name):
            return bands[_nm(name)]
        case ast.UnaryOp(op=op, operand=inner):
            return _OPERATIONS[type(op)](_value(inner, bands))
        case ast.Call(func=ast.Name(id=name), args=[inner]):
            return FUNCTIONS[name](_value(inner, bands))
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            values, power = _value(base, bands), _number(exponent)
            assert power is not None
            whole = power.is_integer() and power >= 0
            return np.power(values if whole else np.where(values > 0, values, np.nan), power)
        case ast.BinOp(left=above, op=ast.Div(), right=below):
            divisor = _value(below, bands)
            return _value(above, bands) / np.where(np.abs(divisor) > MIN_DENOMINATOR, divisor, np.nan)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left, bands), _value(right, bands))
    raise AssertionError(node)
