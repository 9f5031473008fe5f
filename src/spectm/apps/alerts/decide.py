"""Whether a finding is told: new, known, held back as a repeat, below, or not to be told at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from spectm.apps.alerts.evaluate import Answer, Finding
from spectm.apps.alerts.journal import Journal
from spectm.apps.alerts.text import percent

__all__ = ["ROSE_BY", "Checked", "counts", "decide"]

ROSE_BY = 0.2
"""A probability that is higher by so much than the last that was told is told again at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """A rule at one horizon, and what became of it.

    Parameters
    ----------
    finding : Finding
    outcome : {"alert", "known", "held back", "below", "not evaluated"}
        New; alerted by an earlier run; fires, and was told of lately; does not fire; could not be told.
    why : str
        In words.
    """

    finding: Finding
    outcome: str
    why: str


def decide(finding: Finding, journal: Journal) -> Checked:
    """What becomes of a finding, by what the journal says of earlier periods of the same question.

    A rule that fires is told again after ``repeat_after`` days, or before where a period in between was found
    below its probability, or where the probability is higher by `ROSE_BY` than the one that was told.
    """
    if finding.answer is None:
        return Checked(finding=finding, outcome="not evaluated", why=finding.why_not)
    rule = finding.rule
    above = f"{percent(finding.answer.probability)} above {rule.asked.value:g} ug/L"
    if not finding.fires:
        why = f"{above}, and the rule tells from {percent(rule.probability)} on"
        return Checked(finding=finding, outcome="below", why=why)
    if finding.id in journal.known:
        return Checked(finding=finding, outcome="known", why=f"{above}, alerted by an earlier run")
    if held := _held_back(finding, finding.answer, journal):
        return Checked(finding=finding, outcome="held back", why=f"{above}, {held}")
    return Checked(finding=finding, outcome="alert", why=above)


def _held_back(finding: Finding, answer: Answer, journal: Journal) -> str:
    """Why a rule that fires is not told again; empty where it is."""
    rule, first = finding.rule, str(finding.period.start)
    last = journal.last_alert(rule.digest, finding.horizon, first)
    if last is None:
        return ""
    before = last["period"]["first"]
    days = (date.fromisoformat(first) - date.fromisoformat(before)).days
    rose = round(answer.probability, 4) >= round(last["probability"] + ROSE_BY, 4)  # as it is kept
    if days >= rule.repeat_after or rose:
        return ""
    if journal.ended_between(rule.digest, finding.horizon, before, first):
        return ""
    return f"told for the period of {before} with {percent(last['probability'])}"


def counts(checked: Sequence[Checked]) -> dict[str, int]:
    """How many of each outcome, in the order of `Checked`."""
    names = ("alert", "known", "held back", "below", "not evaluated")
    found = {name: sum(one.outcome == name for one in checked) for name in names}
    return {name: n for name, n in found.items() if n}
