"""Sections of a file of rules, read key by key: what nobody reads is refused, secrets are not repeated."""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from spectm.errors import AlertError

__all__ = ["Section"]

NAME_LENGTH = 80


class Section:
    """One section, such as ``[rules.intake]``.

    Parameters
    ----------
    values : object
        What `tomllib` found there.
    where : str
        File and section, for errors.
    private : bool
        Whether values stay out of errors: somebody may have written a password.

    Raises
    ------
    AlertError
        If it is no section.
    """

    def __init__(self, values: object, where: str, *, private: bool = False) -> None:
        self.where, self.private = where, private
        if not isinstance(values, Mapping):
            raise AlertError(f"{where}: wanted a section, found {self.shown(values)}. Write [{where}].")
        self.values: Mapping[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def shown(self, value: object) -> str:
        """A value as errors show it."""
        return f"{type(value).__name__} (not shown)" if self.private else repr(value)

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that nobody reads."""
        names = sorted(known)
        for key in self.values:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(names)}."
                raise AlertError(f"{self.where}: unknown key {key!r}. {hint}")

    def refuse(self, key: str, wanted: str, hint: str = "") -> AlertError:
        """The error for a value that can't be used."""
        found = self.shown(self.values[key]) if key in self.values else "nothing"
        return AlertError(f"{self.where}: wanted {key}, {wanted}; found {found}. {hint}".rstrip())

    def number(
        self, key: str, wanted: str, low: float, high: float, *, default: float | None = None
    ) -> float:
        """A number above `low` and up to `high`; `wanted` says in words which."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value <= high:
            raise self.refuse(key, wanted)
        if not math.isfinite(value):
            raise self.refuse(key, wanted)
        return float(value)

    def text(self, key: str, wanted: str, *, default: str | None = None) -> str:
        """A text of printable characters on one line."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.refuse(key, wanted)
        return value.strip()

    def texts(self, key: str, wanted: str) -> tuple[str, ...]:
        """A list of different texts."""
        values = self.values.get(key)
        fine = isinstance(values, list) and all(
            isinstance(one, str) and one.strip() and one.isprintable() for one in values
        )
        if not fine or values is None or len(set(values)) < len(values):
            raise self.refuse(key, wanted)
        return tuple(one.strip() for one in values)

    def sections(self, key: str) -> dict[str, object]:
        """Sections below, by names that people gave."""
        found = self.values.get(key, {})
        if not isinstance(found, Mapping):
            raise self.refuse(key, f"sections such as [{key}.NAME]")
        for name in found:
            if not (name.strip() == name and name and name.isprintable() and len(name) <= NAME_LENGTH):
                raise AlertError(
                    f"{self.where}: wanted names of {key} of 1 to {NAME_LENGTH} printable characters, found "
                    f"{name!r}. Rename it."
                )
        return dict(found)
