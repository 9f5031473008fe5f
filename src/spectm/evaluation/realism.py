"""Real against simulated: angles, quartiles, a classifier, the use of known truth, the laboratory record."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectm import __version__
from spectm.data.labels import Labels
from spectm.data.patches import Patches
from spectm.evaluation import realism_figures as figures
from spectm.evaluation.figures import Picture
from spectm.evaluation.realism_classifier import FORMS, Separation, differences, separate
from spectm.evaluation.realism_record import rank_table, record_table, simulated_record
from spectm.evaluation.realism_report import Findings, realism_images, realism_markdown, realism_page
from spectm.evaluation.realism_spectra import (
    FIRST_NM,
    Spectra,
    angles_to_nearest,
    drawn,
    halves_inside,
    inside,
    level_table,
    quantities,
    quartile_table,
    real_spectra,
    simulated_spectra,
)
from spectm.evaluation.realism_truth import learned_from_truth
from spectm.evaluation.results import write_table
from spectm.evaluation.task import build_task
from spectm.files import write_bytes, write_text

__all__ = ["RealismSettings", "compare"]

FloatArray = npt.NDArray[np.floating[Any]]
Progress = Callable[[int, int, str], None]
REAL_OTHER, SIMULATED, ERROR_FREE = "real, another date", "simulated", "simulated, without error"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealismSettings:
    """What is simulated to be compared.

    Parameters
    ----------
    seed : int
        Of all chance; lakes have the seeds that follow.
    lakes : int
        Seasons of spectra, and of laboratory records.
    years : tuple of int
        Of the laboratory records. Spectra have the days of the real ones.
    spectra : int
        Simulated spectra that are compared at most, drawn so that months have the shares of the real ones.
    cloudiness : float
        Of the lakes whose spectra are used.
    forms : tuple of str
        What the classifier is shown, of `spectm.evaluation.realism_classifier.FORMS`.
    """

    seed: int = 0
    lakes: int = 8
    years: tuple[int, ...] = (2023, 2024)
    spectra: int = 5000
    cloudiness: float = 0.6
    forms: tuple[str, ...] = FORMS

    @property
    def seeds(self) -> list[int]:
        """Of the lakes."""
        return list(range(self.seed, self.seed + self.lakes))


def compare(
    patches: Patches,
    pixels: Patches,
    labels: Labels,
    settings: RealismSettings,
    folder: Path,
    *,
    results: Path | None = None,
    progress: Progress = lambda done, all_, what: None,
) -> list[Path]:
    """Simulate, compare, and write ``report.html``, ``realism.json`` and tables.

    Parameters
    ----------
    patches, pixels : Patches
        Station patches (rows of the protocol's current task) and single pixels.
    labels : Labels
        The laboratory record.
    settings : RealismSettings
    folder : Path
        Made where missing.
    results : Path, optional
        Where the tables go as Markdown too.
    progress : callable
        Is told steps done, all steps, and what is at work.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    SpectmError
        If the files hold nothing that can be compared.
    """
    steps = settings.lakes + len(settings.forms) + 3
    real = real_spectra(pixels)
    days = np.unique(real.time.astype("datetime64[D]"))
    simulated = simulated_spectra(
        settings.seeds,
        days,
        cloudiness=settings.cloudiness,
        progress=lambda done, _: progress(done, steps, "lakes"),
    )
    chosen = drawn(simulated, real, settings.spectra, np.random.default_rng(settings.seed))
    angles = _angles(real, chosen)
    parts = []
    for k, name in enumerate(settings.forms):
        progress(settings.lakes + k, steps, f"classifier, {name}")
        as_many = drawn(chosen, real, real.n, np.random.default_rng(settings.seed + 1))
        parts.append(separate(real, as_many, name, seed=settings.seed))
    progress(steps - 3, steps, "regression")
    truth = learned_from_truth(chosen, build_task("current", patches, labels), seed=settings.seed)
    progress(steps - 2, steps, "laboratory record")
    of_laboratory = simulated_record(settings.seeds, settings.years)
    found = quantities(real.Rrs, real.wavelength)
    findings = Findings(
        angles=_angle_table(angles),
        halves=_half_table(angles, real, chosen),
        levels=level_table(real, chosen),
        quartiles=quartile_table(found, quantities(chosen.Rrs, real.wavelength)),
        quartiles_error_free=quartile_table(found, quantities(_truth(chosen), real.wavelength)),
        real_halves=halves_inside(found, real.date, np.random.default_rng(settings.seed)),
        separations=parts,
        differences=differences(real, chosen),
        truth=truth,
        record=record_table(labels, of_laboratory),
        record_ranks=rank_table(labels, of_laboratory),
        facts=_facts(real, chosen, days.size, settings),
    )
    progress(steps - 1, steps, "report")
    pictures = _pictures(findings, angles, real, chosen)
    written = _write(findings, pictures, folder)
    if results is not None:
        written += _write_page(findings, pictures, results)
    return written


def _write_page(findings: Findings, pictures: dict[str, list[Picture]], results: Path) -> list[Path]:
    """The page of the documentation and its pictures."""
    images = {results.parent / "images" / name: one for name, one in realism_images(pictures).items()}
    for path, picture in images.items():
        write_bytes(path, picture.svg)
    write_text(results, realism_markdown(findings, pictures))
    return [*images, results]


def _truth(spectra: Spectra) -> FloatArray:
    """Spectra without error, shape (n, n_bands)."""
    assert spectra.truth is not None
    return spectra.truth


def _angles(real: Spectra, simulated: Spectra) -> dict[str, FloatArray]:
    """Angles from each real spectrum to the nearest of several kinds, bands from 400 nm."""
    bands = real.wavelength >= FIRST_NM
    here = real.Rrs[:, bands]
    return {
        REAL_OTHER: angles_to_nearest(here, here, dates=real.date, other_dates=real.date),
        SIMULATED: angles_to_nearest(here, simulated.Rrs[:, bands]),
        ERROR_FREE: angles_to_nearest(here, _truth(simulated)[:, bands]),
    }


def _angle_table(angles: dict[str, FloatArray]) -> pd.DataFrame:
    """Median and 90th percentile of each kind, and over those of real spectra of another date."""
    levels = {name: np.nanquantile(values, [0.5, 0.9]) for name, values in angles.items()}
    reference = levels[REAL_OTHER]
    return pd.DataFrame(
        [
            {
                "nearest": name,
                "median": pair[0],
                "p90": pair[1],
                "median_ratio": pair[0] / reference[0],
                "p90_ratio": pair[1] / reference[1],
            }
            for name, pair in levels.items()
        ]
    )


def _half_table(angles: dict[str, FloatArray], real: Spectra, simulated: Spectra) -> pd.DataFrame:
    """Angles and quartiles on odd days, which constants were fitted to, and on even ones, left out then.

    Days are counted from 1970 on.
    """
    rows: list[dict[str, Any]] = []
    for parity, remainder in (("odd", 1), ("even", 0)):
        ours, theirs = (one.at(one.day % 2 == remainder) for one in (simulated, real))
        row: dict[str, Any] = {"days": parity, "n_real": theirs.n, "n_simulated": ours.n}
        if min(theirs.n, ours.n) > 0:
            table = _angle_table({key: values[real.day % 2 == remainder] for key, values in angles.items()})
            ratios = table[table["nearest"] == SIMULATED].to_dict("records")[0]
            row |= {name: ratios[name] for name in ("median_ratio", "p90_ratio")}
            quartiles = quartile_table(*(quantities(one.Rrs, one.wavelength) for one in (theirs, ours)))
            met = inside(quartiles)
            row |= {"quartiles_inside": int(met.sum()), "quartiles": int(met.size)}
        rows.append(row)
    return pd.DataFrame(rows)


def _facts(real: Spectra, chosen: Spectra, n_days: int, settings: RealismSettings) -> dict[str, Any]:
    return {
        "spectm_version": __version__,
        "simulated": True,
        "n_real": real.n,
        "n_days": n_days,
        "n_simulated": chosen.n,
        "settings": asdict(settings),
    }


def _pictures(
    findings: Findings, angles: dict[str, FloatArray], real: Spectra, chosen: Spectra
) -> dict[str, list[Picture]]:
    return {
        "spectra": figures.spectra_charts(real, chosen),
        "shape": [figures.angle_chart(angles), figures.quartile_chart(findings.quartiles)],
        "classifier": [figures.importance_chart(findings.separations)],
        "record": figures.record_charts(findings.record),
    }


def _write(findings: Findings, pictures: dict[str, list[Picture]], folder: Path) -> list[Path]:
    """All files of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "angles": findings.angles,
        "halves": findings.halves,
        "levels": findings.levels,
        "quartiles": findings.quartiles,
        "quartiles_without_error": findings.quartiles_error_free,
        "importance": _importance(findings.separations),
        "band_differences": findings.differences,
        "truth": findings.truth,
        "record": findings.record,
        "record_ranks": findings.record_ranks,
    }
    written = []
    for name, table in tables.items():
        # Whoever finds a table alone shall know too.
        write_table(table.assign(compares="real and simulated"), folder / f"{name}.csv")
        written.append(folder / f"{name}.csv")
    texts = {
        "realism.json": json.dumps(findings.summary(), indent=1, allow_nan=False) + "\n",
        "report.html": realism_page(findings, pictures),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
        written.append(folder / name)
    return written


def _importance(separations: list[Separation]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"form": one.form, "auc": one.auc, "centre_nm": nm, "importance": value}
            for one in separations
            for nm, value in zip(one.centre_nm, one.importance, strict=True)
        ]
    )
