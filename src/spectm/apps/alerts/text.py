"""What an alert says: one line of JSON, one sentence, and a mail."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from spectm.apps.alerts.evaluate import Answer, CellEstimate, Finding
from spectm.apps.alerts.rules import Area
from spectm.apps.moment import days_in_words
from spectm.apps.places import Station
from spectm.apps.store import Store
from spectm.data.periods import Period
from spectm.trust.thresholds import CAVEAT

__all__ = ["FORMAT", "NO_DECISION", "alert_line", "mail_text", "percent", "plain", "sent_part", "subject"]

FORMAT = "spectm-alert/1"
NO_DECISION = (
    "It informs and decides nothing: whoever acts on water asks the laboratory and the authority in charge."
)
SIMULATED = "Simulated: no measurement of any water is behind these numbers."
EXPERIMENTAL = "Experimental: an estimate of a research model, seen from space, and no measurement."
OF_AN_AREA = (
    "The probability of an area is the mean over its cells that count, which is the share of them that is "
    "expected above the threshold. It is neither the probability that some place in the area lies above it, "
    "which is higher, nor that all of it does: cells err together, and no joint probability is known."
)


def plain(text: str) -> str:
    """A text on one line, without characters that steer a terminal or a mail.

    Examples
    --------
    >>> plain("a" + chr(10) + "b" + chr(27) + "[1m")
    'a?b?[1m'
    """
    return "".join(one if one.isprintable() else "?" for one in text)


def percent(probability: float) -> str:
    """A probability as people read it; never certain.

    Examples
    --------
    >>> percent(0.62), percent(0.999), percent(0.001)
    ('62 %', 'more than 99 %', 'less than 1 %')
    """
    if probability > 0.99:
        return "more than 99 %"
    return "less than 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def alert_line(finding: Finding, answer: Answer, store: Store, time: str) -> dict[str, Any]:
    """An alert as it is kept, and, but for ``receivers`` and ``asked``, sent; see ``docs/alerts.md``.

    Parameters
    ----------
    finding : Finding
        One that fires.
    answer : Answer
        Of it.
    store : Store
    time : str
        Now, ISO 8601.
    """
    rule, cells, model = finding.rule, finding.cells, store.record["model"]
    asked = rule.asked
    return {
        "format": FORMAT,
        "id": finding.id,
        "time": time,
        "why": why(finding, answer, simulated=store.simulated),
        "rule": rule.name,
        "place": _place(finding),
        "period": _days(finding.period),
        "horizon": finding.horizon,
        "about": _days(finding.about),
        "threshold": {
            "value": asked.value,
            "unit": "ug/L",
            "profile": asked.profile or None,
            "name": asked.name or None,
            "medium": asked.medium or None,
        },
        "probability": round(answer.probability, 4),
        "fires_at": rule.probability,
        "estimate": _estimate(answer.typical),
        "highest": _estimate(answer.highest),
        "coverage": {
            "water_cells": cells.water,
            "counted": cells.counted,
            "share": round(cells.share, 4),
            "oldest_pixels_days": None if cells.oldest_days is None else round(cells.oldest_days, 2),
        },
        "flags": {"flagged": cells.flagged, "too_old": cells.too_old, "reasons": cells.flag_reasons},
        "caveats": _caveats(finding, simulated=store.simulated),
        "simulated": store.simulated,
        "model": {"name": model["name"], "weights_sha256": model["weights_sha256"]},
        "predictions": finding.predictions,
        "spectm_version": store.record["spectm_version"],
        "asked": rule.digest,
        "receivers": list(rule.receivers),
    }


def sent_part(alert: Mapping[str, Any]) -> dict[str, Any]:
    """What receivers get: all but whom else it goes to."""
    return {key: value for key, value in alert.items() if key not in ("receivers", "asked")}


def why(finding: Finding, answer: Answer, *, simulated: bool) -> str:
    """One plain sentence."""
    rule, cell = finding.rule, answer.typical
    name = plain(rule.place.name)
    mark = "Simulated" if simulated else "Experimental"
    days = f"for {days_in_words(finding.about)}"
    if finding.horizon:
        days += f" (a forecast from what was seen {days_in_words(finding.period)})"
    if isinstance(rule.place, Area):
        where = f"over the {finding.cells.counted} cells of {name} that count, the mean probability"
        whose = "the cell in the middle has an estimate of"
    else:
        where, whose = f"at {name} the probability", "the estimate is"
    interval = f"90 % interval {_span(cell.low90, cell.high90)}"
    return (
        f"{mark}: {where} of more than {rule.asked.value:g} ug/L of microcystin is "
        f"{percent(answer.probability)} {days}, and the rule {plain(rule.name)!r} tells of it from "
        f"{percent(rule.probability)} on; {whose} {cell.microcystin:.3g} ug/L ({interval})."
    )


def subject(alert: Mapping[str, Any]) -> str:
    """Of a mail, on one line."""
    mark = "Simulated" if alert["simulated"] else "Experimental"
    value, where = alert["threshold"]["value"], plain(alert["place"]["name"])[:80]
    days = f"{alert['about']['first']} to {alert['about']['last']}"
    return f"{mark}: microcystin above {value:g} ug/L at {percent(alert['probability'])}, {where}, {days}"


def mail_text(alert: Mapping[str, Any]) -> str:
    """Body of a mail."""
    estimate, highest, coverage = (alert[key] for key in ("estimate", "highest", "coverage"))
    threshold = alert["threshold"]
    from_profile = f" ({threshold['profile']}, {threshold['name']})" if threshold["profile"] else ""
    rows = [
        ("Place", plain(alert["place"]["name"])),
        ("Days", f"{alert['about']['first']} to {alert['about']['last']}"),
        ("Seen", f"{alert['period']['first']} to {alert['period']['last']}"),
        ("Threshold", f"{threshold['value']:g} ug/L{plain(from_profile)}"),
        ("Probability", f"{percent(alert['probability'])}, told from {percent(alert['fires_at'])} on"),
        (
            "Estimate",
            f"{estimate['microcystin']:.3g} ug/L, 90 %: {_span(estimate['low90'], estimate['high90'])}",
        ),
    ]
    if alert["place"]["kind"] == "area":
        rows.append(
            (
                "Highest",
                f"{highest['microcystin']:.3g} ug/L, 90 %: {_span(highest['low90'], highest['high90'])}",
            )
        )
    rows += [
        ("Coverage", f"{coverage['counted']} of {coverage['water_cells']} cells count"),
        ("Flagged", f"{alert['flags']['flagged']} cells"),
        ("Model", plain(alert["model"]["name"])),
        ("Alert", alert["id"]),
    ]
    parts = [alert["why"], "\n".join(f"{name + ':':<13}{text}" for name, text in rows), *alert["caveats"]]
    return "\n\n".join(part if "\n" in part else _filled(part) for part in parts) + "\n"


def _filled(text: str) -> str:
    """Lines of a width for mail; a number keeps its %."""
    return textwrap.fill(text.replace(" %", "\u00a0%"), 76).replace("\u00a0", " ")


def _said(cell: Mapping[str, float]) -> str:
    return f"{cell['microcystin']:.3g} ug/L, 90 %: {_span(cell['low90'], cell['high90'])}"


def _span(low: float, high: float) -> str:
    return f"{low:.2g} to {high:.2g}"


def _caveats(finding: Finding, *, simulated: bool) -> list[str]:
    area = [OF_AN_AREA] if isinstance(finding.rule.place, Area) else []
    return [SIMULATED if simulated else EXPERIMENTAL, NO_DECISION, CAVEAT, *area]


def _days(period: Period) -> dict[str, str]:
    return {"first": str(period.start), "last": str(period.end - np.timedelta64(1, "D"))}


def _place(finding: Finding) -> dict[str, Any]:
    place = finding.rule.place
    if isinstance(place, Station):
        return {
            "kind": "point",
            "name": place.name,
            "latitude": place.latitude,
            "longitude": place.longitude,
        }
    corners = place.polygon.rings[0]
    west, south = corners.min(axis=0)
    east, north = corners.max(axis=0)
    return {"kind": "area", "name": place.name, "bounds": [float(one) for one in (west, south, east, north)]}


def _estimate(cell: CellEstimate) -> dict[str, Any]:
    """Of one cell, to four digits."""
    values = {name: float(f"{getattr(cell, name):.4g}") for name in ("microcystin", "low90", "high90")}
    return {
        **values,
        "unit": "ug/L",
        "latitude": round(cell.latitude, 5),
        "longitude": round(cell.longitude, 5),
    }
