"""Dated threshold profiles of microcystin, kept as data, and the caveat that goes with every one of them."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from spectm.errors import ThresholdError

__all__ = ["CAVEAT", "MEDIA", "Profile", "Threshold", "profile", "profile_names", "read_profile"]

CAVEAT = (
    "Estimates are of microcystin inside particles (cells) in raw surface water, as a satellite sees it. "
    "Dissolved microcystin comes on top, and other toxins are not counted. Thresholds for drinking water are "
    "about finished water: raw water above one says nothing on what a waterworks delivers."
)
"""What every output that shows a threshold, or an estimate, has to say beside it."""

MEDIA = {
    "drinking": "finished drinking water",
    "recreational": "water where people bathe",
    "raw": "raw water",
}
"""The kinds of water that a threshold may be about."""

UNIT = "ug/L"
_TEXTS = ("title", "source", "date", "unit")
_THRESHOLD_TEXTS = ("name", "medium", "statement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One value of a profile.

    Parameters
    ----------
    name : str
        Short, for tables.
    value : float
        Concentration, ug/L.
    medium : {"drinking", "recreational", "raw"}
        Which water it is about.
    statement : str
        What it is, in a sentence.
    """

    name: str
    value: float
    medium: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Thresholds of one authority, in increasing order.

    Parameters
    ----------
    name : str
        By which it is asked for.
    title, source, date : str
        What it is, the document, and its year or day.
    unit : str
        Always "ug/L".
    thresholds : tuple of Threshold
    """

    name: str
    title: str
    source: str
    date: str
    unit: str
    thresholds: tuple[Threshold, ...]

    def describe(self) -> str:
        """The profile, its source and its thresholds in a few lines, the caveat last."""
        lines = [f"{self.name}: {self.title} ({self.source}; {self.date})"]
        lines += [
            f"  {one.value:g} {self.unit}, {one.name} ({MEDIA[one.medium]}): {one.statement}"
            for one in self.thresholds
        ]
        return "\n".join([*lines, CAVEAT])


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with the package."""
    return tuple(_shipped())


def profile(name: str) -> Profile:
    """Profile that ships with the package.

    Parameters
    ----------
    name : str
        One of `profile_names()`.

    Raises
    ------
    ThresholdError
        If there is none of that name; the message suggests the nearest one.

    Examples
    --------
    >>> [one.value for one in profile("epa-2015").thresholds]
    [0.3, 1.6]
    """
    known = _shipped()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ThresholdError(
            f"no threshold profile named {name!r}; {hint}Known: {', '.join(known)}. For another one, write a "
            "file of the same form and give its path"
        )
    return known[name]


def read_profile(path: Path) -> Profile:
    """Profile from a TOML file of the form of those that ship with the package; see ``docs/trust.md``.

    Raises
    ------
    ThresholdError
        If the file can't be read, does not hold one profile, or something in it is missing or of no use.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ThresholdError(f"can't read the threshold profile {path}: {error}") from error
    found = _parse(text, str(path))
    if len(found) != 1:
        raise ThresholdError(
            f"{path}: wanted one profile, found {len(found)}: {', '.join(found) or '(none)'}. A profile is a "
            "section such as [my-lake-2026]"
        )
    return next(iter(found.values()))


def _shipped() -> dict[str, Profile]:
    table = "thresholds.toml"
    text = files("spectm.trust").joinpath("tables", table).read_text(encoding="utf-8")
    return _parse(text, table)


def _parse(text: str, where: str) -> dict[str, Profile]:
    """Every profile of a file, by name; `where` is the file that messages name."""
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ThresholdError(f"{where} is not TOML: {error}") from error
    return {name: _profile(name, section, f"{where}: [{name}]") for name, section in sections.items()}


def _profile(name: str, section: Any, where: str) -> Profile:
    if not isinstance(section, Mapping):
        raise ThresholdError(f"{where}: wanted a section with title, source, date, unit; found {section!r}")
    texts = _texts(section, _TEXTS, {"thresholds"}, where)
    if texts["unit"] != UNIT:
        raise ThresholdError(f"{where}: wanted unit = {UNIT!r}, found {texts['unit']!r}. Convert the values")
    entries = section.get("thresholds")
    if not isinstance(entries, list) or not entries:
        raise ThresholdError(f"{where}: wanted at least one [[{name}.thresholds]], found {entries!r}")
    found = [_threshold(entry, f"{where}, threshold {i}") for i, entry in enumerate(entries, start=1)]
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ThresholdError(f"{where}: wanted thresholds of different names, found {', '.join(names)}")
    found.sort(key=lambda one: one.value)
    return Profile(name=name, **texts, thresholds=tuple(found))


def _threshold(entry: Any, where: str) -> Threshold:
    if not isinstance(entry, Mapping):
        raise ThresholdError(f"{where}: wanted name, value, medium and statement; found {entry!r}")
    texts = _texts(entry, _THRESHOLD_TEXTS, {"value"}, where)
    if texts["medium"] not in MEDIA:
        raise ThresholdError(
            f"{where}: medium says which water it is about: {', '.join(MEDIA)}; found {texts['medium']!r}"
        )
    value = entry.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ThresholdError(f"{where}: wanted value, a concentration above zero in {UNIT}; found {value!r}")
    return Threshold(value=float(value), **texts)


def _texts(
    section: Mapping[str, Any], names: tuple[str, ...], others: set[str], where: str
) -> dict[str, str]:
    """The texts that a section must have; nothing may be there that nobody reads."""
    for key in section:
        if key not in {*names, *others}:
            near = difflib.get_close_matches(key, (*names, *others), n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known are {', '.join((*names, *sorted(others)))}"
            )
            raise ThresholdError(f"{where}: unknown key {key!r}; {hint}")
    for name in names:
        if not isinstance(section.get(name), str) or not section[name].strip():
            raise ThresholdError(f"{where}: wanted {name} as a text, found {section.get(name)!r}")
    return {name: section[name].strip() for name in names}
