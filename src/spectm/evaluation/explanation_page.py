"""Explanations as pages that hold everything in themselves: here that of one place and day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, StrictUndefined

import spectm
from spectm.data.origin import is_simulated
from spectm.data.patches import Patches
from spectm.data.times import utc_stamps
from spectm.evaluation import explanation_figures as drawn
from spectm.evaluation.attributed import Blended
from spectm.evaluation.explanation import Explanation
from spectm.evaluation.figures import Picture, stamped
from spectm.evaluation.findings import number
from spectm.evaluation.report import typeset
from spectm.evaluation.report_tables import Table
from spectm.files import replacing
from spectm.spectral.windows import Window
from spectm.training.forecaster import Forecaster
from spectm.trust.applicability import NEW_PLACE, REASONS
from spectm.trust.attribution import TOLERANCE
from spectm.trust.thresholds import CAVEAT

__all__ = [
    "USED",
    "Section",
    "about_reference",
    "signed",
    "strongest",
    "write_explanation",
    "write_page",
]

FloatArray = npt.NDArray[np.floating[Any]]

USED = "An attribution says what the model used, not what is there."
MADE_UP = (
    "{what} simulated. Nothing on this page was measured on a real lake with a real satellite from end to "
    "end, and no number here says how well anything works on one."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a page; `long` tables are folded away."""

    title: str
    lines: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    long: Sequence[Table] = field(default=())


def write_explanation(
    found: Explanation, model: Forecaster, patches: Patches, path: Path, *, name: str, file: str
) -> Path:
    """Write the page of one place and day.

    Parameters
    ----------
    found : Explanation
    model : Forecaster
    patches : Patches
        That it was explained from.
    path : Path
        HTML; replaced at once.
    name, file : str
        Of model and patches, as they are to be shown.
    """
    when = found.day if found.lead_days == 0 else f"{found.target_day}, {found.lead_days:g} days ahead"
    complete = bool(found.attributions.complete()[0])
    contents = {
        "title": f"Why this estimate? {found.place}, {when}",
        "lead": [_what(found)],
        "warning": "" if complete else _incomplete(found),
        "short": _in_short(found),
        "reasons": _reasons(found),
        "caveats": [CAVEAT, USED, about_reference(found.n_members)],
        "sections": [_account(found), _bands(found), _windows(found), _spectrum(found)],
    }
    return write_page(contents, model, patches, path, name=name, file=file)


def write_page(
    contents: Mapping[str, Any], model: Blended, patches: Patches, path: Path, *, name: str, file: str
) -> Path:
    """Write a page of what the template names; simulated data are marked as such, and all text is escaped."""
    made_up = _made_up(model, patches)
    sections = [_stamped(one) if made_up else one for one in contents["sections"]]
    source = resources.files("spectm.evaluation").joinpath("templates/explanation.html.j2")
    # Names of stations, files and models come from files: all of it is escaped.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    template = environment.from_string(source.read_text(encoding="utf-8"))
    facts = _facts(model, patches, name, file)
    page = template.render({**contents, "sections": sections, "origin": made_up, "facts": facts})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def _made_up(model: Blended, patches: Patches) -> str:
    """What of it was simulated; nothing where nothing was."""
    of_model = is_simulated(model.meta.get("provenance", {}))
    if not (of_model or patches.simulated):
        return ""
    both = of_model and patches.simulated
    what = "Model and patches are" if both else "The model's data are" if of_model else "The patches are"
    return MADE_UP.format(what=what)


def _stamped(section: Section) -> Section:
    pictures = [stamped(one, "Simulated") for one in section.pictures]
    return Section(
        title=section.title, lines=section.lines, pictures=pictures, tables=section.tables, long=section.long
    )


def _what(found: Explanation) -> str:
    place = ""
    if np.isfinite(found.latitude + found.longitude):
        north, east = ("N" if found.latitude >= 0 else "S"), ("E" if found.longitude >= 0 else "W")
        place = f" at {abs(found.latitude):.4f} {north}, {abs(found.longitude):.4f} {east}"
    overpass = str(utc_stamps(np.array([found.time]))[0])
    ahead = "" if found.lead_days == 0 else f" Asked about is {found.target_day}, some days later."
    return (
        f"Particulate microcystin of raw surface water{place}, from the overpass of {overpass} (local day "
        f"{found.day}).{ahead}"
    )


def _in_short(found: Explanation) -> list[str]:
    """The estimate, and what season and spectrum say."""
    said = f"{_concentration(found.mean)}"
    if found.estimate is not None:
        (low50,), (high50,) = found.estimate.interval(0.5)
        (low90,), (high90,) = found.estimate.interval(0.9)
        least = found.estimate.least
        said += f" (90 % interval {_range(low90, high90, least)}; 50 %: {_range(low50, high50, least)})"
    else:
        said += f" (spread {found.spread:.2f} in log10, not calibrated)"
    calendar = found.start + found.parts[0].change
    overpass = found.start + sum(part.change for part in found.parts[: found.n_of_overpass])
    lines = [
        said,
        f"Season alone says {_concentration(calendar)} here on the day of the overpass. The spectrum makes "
        f"it {_concentration(overpass)}, {10 ** (overpass - calendar):.2f} times as much.",
    ]
    if found.flags is not None and not found.flags.flagged[0]:
        lines.append("The spectrum looks like those that the model learned from.")
    return lines


def _reasons(found: Explanation) -> list[str]:
    if found.flags is None:
        return []
    known = [name for name, told in found.flags.reasons.items() if told[0]]
    if not found.flags.flagged[0] and NEW_PLACE not in known:
        return []
    return [f"{name}: {REASONS[name]}" for name in known]


def _incomplete(found: Explanation) -> str:
    gap = float(np.mean([one.gap[0] for one in found.attributions.members]))
    return (
        f"This attribution is incomplete: the bands sum to {abs(gap):.3f} (log10) less or more than the "
        f"difference they explain, and {TOLERANCE:g} is allowed. Take their shares with care."
    )


def about_reference(n_members: int) -> str:
    """What attributions are relative to, and what their spread means."""
    spread = (
        "The spread is the standard deviation over the ensemble: how far members of another pretraining "
        "disagree, and not how wrong all of them may be."
        if n_members > 1
        else "The model has one member, so that no spread can be given."
    )
    return (
        "Attributions are relative to a reference, the median spectrum of those that the model was "
        f"pretrained on, made as bright as this one: so they speak of colour. {spread}"
    )


def _account(found: Explanation) -> Section:
    """From the laboratory's average to the estimate."""
    level = found.start
    rows = [("the laboratory", "", "", "", f"{10**level:.3g}", "its average of earlier years")]
    for part in found.parts:
        level += part.change
        spread = number(part.spread, 3) if np.isfinite(part.spread) else "-"
        times = f"{10**part.change:.2f}"
        rows.append((part.name, signed(part.change), times, spread, f"{10**level:.3g}", part.about))
    columns = ("Step", "Change, log10", "Times", "Spread, log10", "Then, ug/L", "What it is")
    return Section(
        title="From the calendar to the estimate",
        lines=[
            "The calendar knows the place and the day, and no satellite. An ordinary spectrum is what the "
            "model would say had it seen the reference on this day; then come the bands."
        ],
        pictures=[drawn.account(found.start, found.parts, level)],
        tables=[Table("Steps to the estimate", columns, rows, (1, found.n_of_overpass + 1))],
    )


def _bands(found: Explanation) -> Section:
    mean, spread = found.attributions.bands[0], found.attributions.spread[0]
    wavelength = found.attributions.wavelength
    filled = np.mean(found.filled, axis=0) if len(found.filled) else np.full(wavelength.size, np.nan)
    rows = [
        (
            f"{nm:g}",
            found.windows[window].name if window >= 0 else "",
            f"{1e3 * measured:.3f}",
            f"{1e3 * reference:.3f}",
            number(1e3 * inferred, 3) if window >= 0 else "",
            signed(added, 4),
            number(uncertain, 4),
        )
        for nm, window, measured, reference, inferred, added, uncertain in zip(
            wavelength,
            found.window,
            found.attributions.spectra[0],
            found.attributions.reference[0],
            filled,
            mean,
            spread,
            strict=True,
        )
    ]
    columns = (
        *("nm", "Window", "Measured, 10⁻³ sr⁻¹", "Reference", "Filled in"),
        *("Adds, log10", "Spread, log10"),
    )
    return Section(
        title="Which bands it rests on",
        lines=[
            "Integrated gradients: each band's share of the difference between the estimate for this "
            "spectrum and for the reference."
        ],
        pictures=[drawn.bands(wavelength, mean, spread, found.windows)],
        tables=[strongest(wavelength, found.window, found.windows, mean, spread)],
        long=[Table("All bands: spectrum, reference, filled in, attribution", columns, rows)],
    )


def strongest(
    wavelength: FloatArray,
    window: npt.NDArray[Any],
    windows: Sequence[Window],
    mean: FloatArray,
    spread: FloatArray,
) -> Table:
    """The ten bands that add most, in order of wavelength; `window` says which of the windows each is in."""
    chosen = np.sort(np.argsort(-np.abs(mean), kind="stable")[:10])
    rows = [
        (
            f"{wavelength[band]:g} nm",
            windows[window[band]].name if window[band] >= 0 else "-",
            signed(mean[band], 3),
            number(spread[band], 3),
        )
        for band in chosen
    ]
    return Table("The ten bands that count most", ("Band", "Window", "Adds, log10", "Spread"), rows)


def _windows(found: Explanation) -> Section:
    rows = [
        (
            one.name,
            signed(one.reference),
            number(one.reference_spread, 3),
            signed(one.filled),
            number(one.filled_spread, 3),
        )
        for one in found.occluded
    ]
    columns = ("Window", "Against the reference, log10", "Spread", "Against filling in, log10", "Spread")
    return Section(
        title="What each window says",
        lines=["Occlusion: the estimate less that for the same spectrum with the window replaced."],
        pictures=[drawn.occluded(found.occluded)],
        tables=[Table("What each window adds", columns, rows)],
    )


def _spectrum(found: Explanation) -> Section:
    said = "This model was pretrained without reconstruction and can't fill in its windows."
    if len(found.filled):
        mean, spread = found.filled_estimate
        said = (
            f"For the spectrum with its windows filled in the estimate of the overpass is "
            f"{_concentration(mean)} (spread over the ensemble {number(spread)} in log10). Filled in is what "
            "the visible bands lead to expect: where a trough is expected, it stays."
        )
    return Section(title="The spectrum without its windows", lines=[said], pictures=[drawn.spectrum(found)])


def _facts(model: Blended, patches: Patches, name: str, file: str) -> list[tuple[str, str]]:
    known = model.meta.get("provenance", {})
    members = f"{len(model.blends)} member{'s' if len(model.blends) > 1 else ''}"
    facts = [
        ("spectm", spectm.__version__),
        ("Model", f"{name}: {members}, {len(model.meta['samples'])} samples"),
        ("Patches", f"{file}: {patches.source}"),
    ]
    facts += [
        (
            "Learned from",
            f"{one.get('file')}: {one.get('source', '')} (SHA-256 {str(one.get('sha256'))[:16]}...)",
        )
        for one in known.get("files", [])
    ]
    return [*facts, *([("Laboratory record", str(known["labels"]))] if "labels" in known else [])]


def _concentration(log10: float) -> str:
    return f"{10**log10:.2g} ug/L"


def _range(low: float, high: float, least: float) -> str:
    """An interval; one that reaches down to the limit says so."""
    start = "below detection" if low <= least * 1.0001 else f"{low:.2g}"
    return f"{start} to {high:.2g} ug/L"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign."""
    return "n/a" if not np.isfinite(value) else f"{value + 0.0:+.{digits}f}"
