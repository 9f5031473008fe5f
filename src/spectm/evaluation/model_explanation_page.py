"""The page of a whole model: what its estimates rest on, and whether chance would do as well."""

from pathlib import Path

import numpy as np

from spectm.data.patches import Patches
from spectm.evaluation import explanation_figures as drawn
from spectm.evaluation.agreement import Agreement
from spectm.evaluation.attributed import Blended, MeanAttribution, layout_of, spread_over
from spectm.evaluation.explanation_page import USED, Section, about_reference, signed, write_page
from spectm.evaluation.findings import number
from spectm.evaluation.hidden_windows import MeanOcclusion
from spectm.evaluation.report_tables import Table
from spectm.trust.attribution import TOLERANCE
from spectm.trust.thresholds import CAVEAT

__all__ = ["write_model_explanation"]


def write_model_explanation(
    mean: MeanAttribution,
    occlusion: MeanOcclusion,
    agreement: Agreement | None,
    model: Blended,
    patches: Patches,
    path: Path,
    *,
    name: str,
    file: str,
    caveat: str = CAVEAT,
) -> Path:
    """Write the page of a whole model: what its estimates of all patches rest on.

    Parameters
    ----------
    mean : MeanAttribution
    occlusion : MeanOcclusion
    agreement : Agreement or None
        None where the laboratory values that it needs were not given.
    model, patches, path, name, file
        As for `write_explanation`.
    caveat : str
        What is to be said of the target wherever an estimate of it is shown.
    """
    warning = ""
    if mean.n_incomplete:
        warning = (
            f"For {mean.n_incomplete} of {mean.n_patches} spectra the bands do not sum to the difference "
            f"they explain within {TOLERANCE:g} (log10)."
        )
    lead = f"What {name} looks at: attribution over {mean.n_patches} spectra of {file}."
    contents = {
        "title": f"What does {name} look at?",
        "lead": [lead],
        "warning": warning,
        "short": _verdict(agreement),
        "reasons": [],
        "caveats": [caveat, USED, about_reference(len(model.blends))],
        "sections": [
            _mean_bands(mean, model),
            *([_occluded(occlusion)] if occlusion.names else []),
            *([_null(agreement)] if agreement else []),
        ],
    }
    return write_page(contents, model, patches, path, name=name, file=file)


def _verdict(agreement: Agreement | None) -> list[str]:
    if agreement is None:
        return ["No laboratory values were given, so that agreement with the windows was not tested."]
    beyond = "more than" if agreement.p < 0.05 else "not told apart from what"
    null = agreement.null
    return [
        f"Agreement with the windows: {agreement.observed:.2f} (p = {agreement.p:.2g})",
        f"The windows, {100 * agreement.share_of_bands:.0f} % of the bands, have a share of "
        f"{100 * agreement.observed:.0f} % in how far estimates are moved from those for the reference "
        f"spectra. That is {beyond} models of shuffled labels give: {100 * np.median(null):.0f} % in the "
        f"middle, {100 * np.quantile(null, 0.95):.0f} % at their 95th percentile.",
        f"They move an estimate by {agreement.effect:.2f} in log10 on average; with shuffled labels by "
        f"{np.median(agreement.effect_null):.3f}, 95th percentile "
        f"{np.quantile(agreement.effect_null, 0.95):.3f} (p = {agreement.effect_p:.2g}).",
    ]


def _mean_bands(mean: MeanAttribution, model: Blended) -> Section:
    layout = layout_of(model)
    windows = model.settings.windows.window_set().windows
    total = mean.mean_size.sum()
    rows = []
    for number_, one in enumerate((*windows, None)):
        inside = layout.window == number_ if one else layout.window < 0
        share, bands = mean.mean_size[inside].sum() / total, inside.mean()
        each = mean.size[:, inside].sum(axis=1) / mean.size.sum(axis=1)
        spread = float(np.std(each, ddof=1)) if len(each) > 1 else np.nan
        title = f"{one.name}, {one.low_nm:g} to {one.high_nm:g} nm" if one else "outside the windows"
        relative = number(share / bands) if bands else "n/a"
        rows.append(
            (title, f"{100 * bands:.0f} %", f"{100 * share:.0f} %", number(100 * spread, 1), relative)
        )
    every = [
        (f"{nm:g}", f"{size:.4f}", signed(average, 4))
        for nm, size, average in zip(mean.wavelength, mean.mean_size, mean.signed, strict=True)
    ]
    columns = ("Bands", "Of all bands", "Of the attribution", "Spread over members, points", "Relative")
    return Section(
        title="Which bands its estimates rest on",
        pictures=[drawn.band_sizes(mean.wavelength, mean.mean_size, mean.signed, windows)],
        tables=[Table("Share of the attribution", columns, rows)],
        long=[Table("All bands", ("nm", "Mean size, log10", "Mean with sign, log10"), every)],
    )


def _occluded(occlusion: MeanOcclusion) -> Section:
    spreads = spread_over(occlusion.size)
    rows = [
        (name, number(size, 3), number(spread, 3), signed(average, 3))
        for name, size, spread, average in zip(
            occlusion.names, occlusion.size.mean(axis=0), spreads, occlusion.signed.mean(axis=0), strict=True
        )
    ]
    columns = ("Window", "Mean size, log10", "Spread over members", "Mean with sign, log10")
    return Section(
        title="What each window says",
        lines=[
            "Occlusion: the estimate less that for the same spectrum with the window as in the reference "
            "spectrum, over all spectra. Windows that say the same do not add up to all of them."
        ],
        tables=[Table("What each window adds", columns, rows)],
    )


def _null(agreement: Agreement) -> Section:
    both = ((agreement.observed, agreement.null), (agreement.effect, agreement.effect_null))
    rows = [("this model", *(f"{one:.3f}" for one, _ in both))]
    rows += [
        (f"shuffled, {100 * q:.0f}th percentile", *(f"{np.quantile(null, q):.3f}" for _, null in both))
        for q in (0.05, 0.5, 0.95)
    ]
    rows += [("shuffled models", *(str(null.size) for _, null in both))]
    rows += [("p", f"{agreement.p:.2g}", f"{agreement.effect_p:.2g}")]
    columns = ("", "Share of the windows", "What they add, log10")
    return Section(
        title="Is that more than chance?",
        lines=[
            "In each spectrum the bands inside the windows are summed, and those outside; the share of the "
            "windows is the mean size of the former over that of both. Beside it the same of models whose "
            f"heads were refitted to the labels of {agreement.n_rows} samples with whole dates "
            f"({agreement.n_dates}) exchanged, over {agreement.n_spectra} spectra; the encoders stay as they "
            "are. The null of the share is wide: a model of shuffled labels uses next to nothing of the "
            "spectrum, and a share of next to nothing may be anything. What the windows add, in log10, does "
            "not have that weakness, but says nothing of the other bands."
        ],
        pictures=[drawn.null_histogram(agreement.observed, agreement.null)],
        tables=[Table("Agreement with the windows", columns, rows)],
    )
