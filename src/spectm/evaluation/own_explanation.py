"""The page that says what an estimate of one's own target rests on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.spectra_file import Spectra, Target
from spectm.errors import SpectraError
from spectm.evaluation import explanation_figures as drawn
from spectm.evaluation.attributed import attribute, layout_of, spread_over
from spectm.evaluation.explanation import Part
from spectm.evaluation.explanation_page import USED, Section, about_reference, signed, strongest, write_page
from spectm.evaluation.findings import number
from spectm.evaluation.report_tables import Table
from spectm.spectral.windows import Window
from spectm.training.spectral_model import SpectralModel
from spectm.trust.attribution import TOLERANCE

__all__ = ["caveat_of", "explain_own"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


def caveat_of(target: Target) -> str:
    """What goes with every estimate of a target."""
    return (
        f"An estimate of {target.name} from reflectance, by a model of the spectra that it learned from: it "
        "says nothing of others, and decides nothing."
    )


def explain_own(
    model: SpectralModel, spectra: Spectra, sample: str, path: Path, *, name: str, file: str
) -> tuple[Part, ...]:
    """Write the page of one spectrum.

    Parameters
    ----------
    model : SpectralModel
    spectra : Spectra
    sample : str
        Name of the spectrum.
    path : Path
        HTML; replaced at once.
    name, file : str
        Of model and spectra, as they are to be shown.

    Returns
    -------
    tuple of Part
        Steps from the mean of the samples learned from to the estimate, log10.

    Raises
    ------
    SpectraError
        If there is no such spectrum, or it has gaps.
    """
    found = np.flatnonzero(spectra.sample == sample)
    if not found.size or not spectra.patches.valid[found[0]].any():
        known = ", ".join(spectra.sample[:5])
        what = "a spectrum with gaps" if found.size else "none of that name"
        raise SpectraError(f"wanted a whole spectrum such as {known}; found {what}: {sample!r}")
    one = spectra.patches.select(found[:1])
    estimate, flags = model.predict(one)
    told = attribute(model, one)
    windows, window = model.settings.windows.window_set().windows, layout_of(model).window
    each, target = told.each[:, 0], model.target
    reference = np.array([member.reference[0] for member in told.members])
    start = float(model.meta["mean_log10"])
    parts = [_part("an ordinary spectrum", reference - start, "of the same brightness")]
    for number_, inside in enumerate(windows):
        about = f"{inside.low_nm:g} to {inside.high_nm:g} nm"
        parts.append(_part(inside.name, each[:, window == number_].sum(axis=1), about))
    parts.append(_part("bands outside the windows", each[:, window < 0].sum(axis=1), "all others"))
    left = float(estimate.mean[0]) - start - sum(part.change for part in parts)
    if abs(left) > TOLERANCE / 10:
        about = "the detection limit, or what the integral leaves over"
        parts.append(_part("not attributed", np.array([left]), about))
    contents = {
        "title": f"Why this estimate? {sample}",
        "lead": [f"{target.name}, {target.unit}, of the spectrum {sample} (group {one.station[0]})."],
        "warning": "" if told.complete()[0] else "The bands do not sum to the difference they explain.",
        "short": [_said(model, estimate.interval(0.9), estimate.median[0])],
        "reasons": [reason for reason in flags.texts() if reason],
        "caveats": [caveat_of(target), USED, about_reference(len(model.blends))],
        "sections": [
            _account(start, parts, target),
            _bands(told.wavelength, told.bands[0], told.spread[0], windows, window),
        ],
    }
    write_page(contents, model, one, path, name=name, file=file)
    return tuple(parts)


def _part(name: str, change: FloatArray, about: str) -> Part:
    spread = float(spread_over(change[:, None])[0])
    return Part(name=name, change=float(change.mean()), spread=spread, about=about)


def _said(model: SpectralModel, ends: tuple[FloatArray, FloatArray], median: float) -> str:
    (low,), (high,) = ends
    return f"{median:.3g} {model.target.unit} (90 % interval {low:.3g} to {high:.3g})"


def _account(start: float, parts: Sequence[Part], target: Target) -> Section:
    level = start
    rows = [("samples learned from", "", "", f"{10**level:.3g}", "their geometric mean")]
    for part in parts:
        level += part.change
        spread = number(part.spread, 3) if np.isfinite(part.spread) else "-"
        rows.append((part.name, signed(part.change), spread, f"{10**level:.3g}", part.about))
    columns = ("Step", "Change, log10", "Spread, log10", f"Then, {target.unit}", "What it is")
    return Section(
        title="From the samples' mean to the estimate",
        pictures=[
            drawn.account(
                start,
                parts,
                level,
                quantity=target.name,
                unit=target.unit,
                origin="the mean of the samples learned from",
            )
        ],
        tables=[Table("Steps to the estimate", columns, rows)],
    )


def _bands(
    wavelength: FloatArray,
    mean: FloatArray,
    spread: FloatArray,
    windows: tuple[Window, ...],
    window: IntArray,
) -> Section:
    rows = [
        (f"{nm:g}", windows[i].name if i >= 0 else "", signed(added, 4), number(uncertain, 4))
        for nm, i, added, uncertain in zip(wavelength, window, mean, spread, strict=True)
    ]
    return Section(
        title="Which bands it rests on",
        lines=["Integrated gradients: each band's share of the difference from the reference."],
        pictures=[drawn.bands(wavelength, mean, spread, windows)],
        tables=[strongest(wavelength, window, windows, mean, spread)],
        long=[Table("All bands", ("nm", "Window", "Adds, log10", "Spread, log10"), rows)],
    )
