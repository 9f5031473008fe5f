"""A file of rules: what is asked of which place, and who is told."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectm.apps.alerts.receiver_sections import parse_receiver
from spectm.apps.alerts.receivers import Receiver
from spectm.apps.alerts.sections import Section
from spectm.apps.columns import find_profile
from spectm.apps.moment import AHEAD, NOW
from spectm.apps.places import Station, find_station
from spectm.apps.polygons import Polygon, parse_polygon
from spectm.errors import AlertError, RegionError, StoreError, ThresholdError

__all__ = ["Area", "Asked", "Rule", "RuleBook", "read_rules"]

RULE_KEYS = (
    *("station", "latitude", "longitude", "polygon", "threshold", "profile", "probability"),
    *("horizons", "min_coverage", "oldest_pixels", "stale_after", "repeat_after", "receivers"),
)
MIN_COVERAGE = 0.5
OLDEST_PIXELS, STALE_AFTER, REPEAT_AFTER = 8.0, 30.0, 16.0  # days
LONGEST = 3660.0  # days
PLACES = "station, latitude and longitude, or polygon"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Area:
    """A polygon by the name of its rule, or of its file."""

    name: str
    polygon: Polygon


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The threshold that a rule asks about.

    Parameters
    ----------
    value : float
        ug/L.
    profile, name, medium : str
        Where it is from; empty where it was given as a number.
    """

    value: float
    profile: str = ""
    name: str = ""
    medium: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """What is asked of a place.

    Parameters
    ----------
    name : str
    place : Station or Area
    asked : Asked
        Threshold.
    probability : float
        At or above which the rule fires.
    horizons : tuple of float
        Days ahead.
    min_coverage : float
        Of an area: share of its water cells that must count.
    oldest_pixels : float
        Days before the end of the period; older cells do not count.
    stale_after : float
        Days from the end of the period to today, after which the latest predictions are too old.
    repeat_after : float
        Days during which a state that goes on is not told again.
    receivers : tuple of str
        Names.
    """

    name: str
    place: Station | Area
    asked: Asked
    probability: float
    horizons: tuple[float, ...]
    min_coverage: float = MIN_COVERAGE
    oldest_pixels: float = OLDEST_PIXELS
    stale_after: float = STALE_AFTER
    repeat_after: float = REPEAT_AFTER
    receivers: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What makes the rule the same question: name, place, threshold, probability; not who is told."""
        if isinstance(self.place, Station):
            place: list[Any] = [self.place.latitude, self.place.longitude]
        else:
            place = [ring.tolist() for ring in self.place.polygon.rings]
        question = [self.name, place, self.asked.value, self.probability]
        return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleBook:
    """A file of rules.

    Parameters
    ----------
    path : Path
    rules : tuple of Rule
    receivers : mapping of str to Receiver
        By name.
    """

    path: Path
    rules: tuple[Rule, ...]
    receivers: Mapping[str, Receiver]


def read_rules(path: Path, stations: Sequence[Station] = ()) -> RuleBook:
    """Rules and receivers of a TOML file; see ``docs/alerts.md``.

    Parameters
    ----------
    path : Path
    stations : sequence of Station
        Those that rules may name.

    Raises
    ------
    AlertError
        If the file can't be read, or something in it is missing, unknown, unsafe or a secret.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AlertError(f"wanted rules in TOML, could not read {path}: {error}.") from error
    book = Section(found, str(path), private=True)
    book.only(("rules", "receivers"))
    receivers = {
        name: parse_receiver(name, values, f"{path}: [receivers.{name}]", path.parent)
        for name, values in book.sections("receivers").items()
    }
    rules = tuple(
        _rule(name, Section(values, f"{path}: [rules.{name}]"), stations, path.parent)
        for name, values in book.sections("rules").items()
    )
    if not rules:
        raise AlertError(f"{path}: wanted at least one rule, found none. Begin one with [rules.NAME].")
    for rule in rules:
        for name in rule.receivers:
            if name not in receivers:
                raise AlertError(
                    f"{path}: [rules.{rule.name}]: wanted receivers of this file, found {name!r}. Known: "
                    f"{', '.join(receivers) or 'none'}. Begin one with [receivers.NAME]."
                )
    return RuleBook(path=path, rules=rules, receivers=receivers)


def _rule(name: str, section: Section, stations: Sequence[Station], folder: Path) -> Rule:
    section.only(RULE_KEYS)
    place = _place(name, section, stations, folder)
    if "min_coverage" in section and isinstance(place, Station):
        raise AlertError(f"{section.where}: min_coverage is of polygons; a station or point is one cell.")
    days = f"days above 0 and up to {LONGEST:g}"
    return Rule(
        name=name,
        place=place,
        asked=_asked(section, folder),
        probability=section.number("probability", "above 0 and at most 1, such as 0.5", 0, 1),
        horizons=_horizons(section),
        min_coverage=section.number("min_coverage", "a share up to 1", 0, 1, default=MIN_COVERAGE),
        oldest_pixels=section.number("oldest_pixels", days, 0, LONGEST, default=OLDEST_PIXELS),
        stale_after=section.number("stale_after", days, 0, LONGEST, default=STALE_AFTER),
        repeat_after=section.number(
            "repeat_after", f"days from 0 to {LONGEST:g}", -1e-9, LONGEST, default=REPEAT_AFTER
        ),
        receivers=section.texts("receivers", "a list of different names; [] writes the journal only"),
    )


def _horizons(section: Section) -> tuple[float, ...]:
    """Days ahead, in order."""
    wanted = section.values.get("horizons", [NOW, AHEAD])
    known = isinstance(wanted, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and one in (NOW, AHEAD) for one in wanted
    )
    if not known or not wanted or len(set(wanted)) < len(wanted):
        raise section.refuse("horizons", "[0], [8] or [0, 8], in days")
    return tuple(sorted(map(float, wanted)))


def _place(name: str, section: Section, stations: Sequence[Station], folder: Path) -> Station | Area:
    ways = [key for key in ("station", "latitude", "polygon") if key in section]
    if len(ways) != 1 or ("latitude" in section) != ("longitude" in section):
        found = " and ".join(key for key in ("station", "latitude", "longitude", "polygon") if key in section)
        raise AlertError(f"{section.where}: wanted one place, {PLACES}; found {found or 'none'}.")
    if "station" in section:
        try:
            return find_station(stations, section.text("station", "the name of a station"))
        except StoreError as error:
            raise AlertError(f"{section.where}: {error} Give --stations FILE for others.") from error
    if "latitude" in section:
        return Station(
            name=name,
            latitude=section.number("latitude", "degrees north, -90 to 90", -90.000001, 90),
            longitude=section.number(
                "longitude", "degrees east, -180 to 180; west is negative", -180.000001, 180
            ),
        )
    return _area(name, section, folder)


def _area(name: str, section: Section, folder: Path) -> Area:
    found: Any = section.values["polygon"]
    where = f"{section.where}: polygon"
    if isinstance(found, str):
        where = f"{section.where}: {found}"
        try:
            found = json.loads((folder / found).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise AlertError(
                f"{where}: wanted a GeoJSON file, could not read it: {error}. Paths begin at the "
                "folder of the rules."
            ) from error
        if (
            isinstance(found, dict)
            and isinstance(found.get("features"), list)
            and len(found["features"]) == 1
        ):
            found = found["features"][0]
    try:
        return Area(name=name, polygon=parse_polygon(found, where=where))
    except RegionError as error:
        raise AlertError(str(error)) from error


def _asked(section: Section, folder: Path) -> Asked:
    """The threshold: a number, or one of a profile by its name."""
    if "profile" not in section:
        return Asked(
            value=section.number("threshold", "ug/L, or with profile the name of one of its", 0, 1e6)
        )
    name = section.text("profile", "the name of a profile, or a file of one (.toml)")
    try:
        chosen = find_profile(str(folder / name) if name.endswith(".toml") else name)
    except ThresholdError as error:
        raise AlertError(f"{section.where}: {error}") from error
    wanted = section.values.get("threshold")
    for one in chosen.thresholds:
        if wanted == one.name:
            return Asked(value=one.value, profile=chosen.name, name=one.name, medium=one.medium)
    known = ", ".join(repr(one.name) for one in chosen.thresholds)
    raise section.refuse("threshold", f"one of {chosen.name} by its name", f"Known: {known}.")
