"""What was found of real against simulated, as sentences, tables, a page and Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, StrictUndefined

from spectm.evaluation.figures import Picture
from spectm.evaluation.realism_classifier import Separation
from spectm.evaluation.realism_spectra import PERCENTILES, inside
from spectm.evaluation.report import typeset
from spectm.evaluation.report_tables import Table, markdown

__all__ = ["AIM_ANGLE", "AIM_AUC", "Findings", "realism_images", "realism_markdown", "realism_page"]

AIM_ANGLE, AIM_AUC = 1.5, 0.8
AIM_FORMS = ("raw", "smoothed", "normalised", "normalised and smoothed")
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
)
SHOWN = {"shape": ("spectra", "shape"), "classifier": ("classifier",), "record": ("record",)}
"""Which pictures stand in which section of the documentation."""
COMMAND = "spectm realism --patches pace_station_patches.nc --pixels pace_pixels.nc --labels glerl"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """Tables of one comparison; `facts` says what was compared.

    `real_halves` has what `spectm.evaluation.realism_spectra.halves_inside` found of the real spectra.
    """

    angles: pd.DataFrame
    halves: pd.DataFrame
    levels: pd.DataFrame
    quartiles: pd.DataFrame
    quartiles_error_free: pd.DataFrame
    real_halves: npt.NDArray[np.integer[Any]]
    separations: list[Separation]
    differences: pd.DataFrame
    truth: pd.DataFrame
    record: pd.DataFrame
    record_ranks: pd.DataFrame
    facts: Mapping[str, Any]

    def inside(self) -> tuple[int, int]:
        """Simulated quartiles that lie within the real interquartile range, and all."""
        met = inside(self.quartiles)
        return int(met.sum()), int(met.size)

    def of_real_halves(self) -> tuple[float, float, float]:
        """The same between halves of the real dates: mean, 2.5 and 97.5 % of random halves."""
        low, high = np.quantile(self.real_halves, [0.025, 0.975])
        return float(self.real_halves.mean()), float(low), float(high)

    def summary(self) -> dict[str, Any]:
        """Numbers for a machine to read; NaN is null."""
        met, of = self.inside()
        return {
            **self.facts,
            "angles": _records(self.angles),
            "halves": _records(self.halves),
            "quartiles_inside": met,
            "quartiles": of,
            "quartiles_of_real_halves": self.of_real_halves(),
            "auc": {one.form: one.auc for one in self.separations},
            "truth": _records(self.truth),
        }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in row.items()
        }
        for row in table.to_dict("records")
    ]


def command(findings: Findings) -> str:
    """What repeats it; options are named where they are not the usual ones."""
    asked = findings.facts["settings"]
    usual = {"seed": 0, "lakes": 8, "spectra": 5000}
    words = [f"--{name} {asked[name]}" for name, value in usual.items() if asked[name] != value]
    return " ".join([COMMAND, *words, "--out DIR --results docs/realism.md"])


def sentences(findings: Findings) -> list[str]:
    """What came out, in short: whether each aim is met."""
    angles = findings.angles.set_index("nearest")
    ours = angles.loc["simulated"]
    count, of = findings.inside()
    mean, low, high = findings.of_real_halves()
    aucs = ", ".join(f"{one.form} {one.auc:.2f}" for one in findings.separations)
    met_angle = max(ours["median_ratio"], ours["p90_ratio"]) <= AIM_ANGLE
    met = [
        f"{one.form} {'met' if one.auc < AIM_AUC else 'not met'}"
        for one in findings.separations
        if one.form in AIM_FORMS
    ]
    return [
        "Angle from a real spectrum to the nearest simulated one: "
        f"median {ours['median']:.4f}, 90th percentile {ours['p90']:.4f} rad, {ours['median_ratio']:.2f} and "
        f"{ours['p90_ratio']:.2f} times those to the nearest real one of another date. "
        f"Aim: at most {AIM_ANGLE:g} times; {'met' if met_angle else 'not met'}.",
        f"Quartiles of indices and of the slope: {count} of {of} simulated ones lie within the real "
        f"interquartile range. Aim: all; {'met' if count == of else 'not met'}. Of random halves of the real "
        f"dates, {mean:.0f} [{low:.0f}, {high:.0f}] of one lie within the range of the other: spectra of the "
        "same water do no better.",
        f"Area under the curve of a classifier that tells simulated from real: {aucs}. "
        f"Aim: below {AIM_AUC:g}; {', '.join(met)}.",
        *_truth_sentences(findings.truth),
    ]


def _truth_sentences(truth: pd.DataFrame) -> list[str]:
    said = []
    for quantity, rows in truth.groupby("quantity", sort=False):
        learned = rows[rows["model"] != "index"]
        index = rows[rows["model"] == "index"].iloc[0]
        each = "; ".join(
            f"{row['model']} R2 {row['r2_simulated']:.2f} on simulated weeks, rank correlation "
            f"{row['rho']:.2f} on real samples"
            for row in learned.to_dict("records")
        )
        alone = f"the cyanobacteria index alone has {index['rho']:.2f}"
        said.append(f"Learned from simulated {quantity}: {each}; {alone}.")
    return said


def tables(findings: Findings) -> dict[str, list[Table]]:
    """All tables as text, by section."""
    return {
        "shape": [
            _angles(findings.angles),
            _halves(findings.halves),
            _levels(findings.levels),
            _quartiles(findings.quartiles, "with error"),
            _quartiles(findings.quartiles_error_free, "without error"),
        ],
        "classifier": [_classifier(findings.separations), _bands(findings.differences)],
        "truth": [_truth(findings.truth)],
        "record": [
            *(_record(part, str(by)) for by, part in findings.record.groupby("by", sort=False)),
            _ranks(findings.record_ranks),
        ],
    }


def _angles(angles: pd.DataFrame) -> Table:
    rows = [
        (
            row["nearest"],
            f"{row['median']:.4f}",
            f"{row['p90']:.4f}",
            f"{row['median_ratio']:.2f}",
            f"{row['p90_ratio']:.2f}",
        )
        for row in angles.to_dict("records")
    ]
    columns = ("Nearest spectrum", "Median, rad", "90 %, rad", "Ratio of medians", "Ratio of 90 %")
    return Table("Spectral angle from each real spectrum to the nearest, 400-719 nm", columns, rows)


def _halves(halves: pd.DataFrame) -> Table:
    rows = []
    for row in halves.to_dict("records"):
        known = np.isfinite(row.get("median_ratio", np.nan))
        cells = (f"{row['median_ratio']:.2f}", f"{row['p90_ratio']:.2f}") if known else ("n/a", "n/a")
        inside = f"{row['quartiles_inside']:.0f} of {row['quartiles']:.0f}" if known else "n/a"
        rows.append((row["days"], f"{row['n_real']:,}", *cells, inside))
    columns = ("Days since 1970", "Real spectra", "Ratio of medians", "Ratio of 90 %", "Quartiles inside")
    return Table(
        "Constants were fitted to odd days alone: angles and quartiles of either half", columns, rows
    )


def _levels(levels: pd.DataFrame) -> Table:
    rows = []
    for row in levels.to_dict("records"):
        cells = [f"{row['wavelength']:.0f}"]
        cells += [f"{100 * row[f'{name}_negative']:.0f} %" for name in ("real", "simulated")]
        for name in ("real", "simulated"):
            cells.append(", ".join(f"{1e3 * row[f'{name}_{level}']:.1f}" for level in PERCENTILES))
        rows.append(tuple(cells))
    columns = ("nm", "Negative, real", "Negative, simulated", "5, 25, 50, 75, 95 %, real", "Simulated")
    return Table("Levels of single bands, in 10^-3 sr^-1", columns, rows)


def _quartiles(table: pd.DataFrame, which: str) -> Table:
    rows = []
    for row in table.to_dict("records"):
        inside = [bool(row[f"inside_{level}"]) for level in (25, 50, 75)]
        texts = [
            ", ".join(f"{row[f'{name}_{level}']:.3g}" for level in (25, 50, 75))
            for name in ("real", "simulated")
        ]
        rows.append((str(row["quantity"]), *texts, *("yes" if one else "no" for one in inside)))
    columns = (
        "Quantity",
        "Real quartiles",
        "Simulated quartiles",
        "25 % inside",
        "50 % inside",
        "75 % inside",
    )
    return Table(f"Quartiles, simulated spectra {which}: within the real interquartile range", columns, rows)


def _classifier(separations: list[Separation]) -> Table:
    rows = []
    for one in separations:
        order = np.argsort(one.importance)[::-1][:4]
        reasons = ", ".join(f"{one.centre_nm[k]:.0f} nm ({one.importance[k]:.2f})" for k in order)
        rows.append((one.form, f"{one.auc:.3f}", reasons))
    columns = ("Spectra", "Area under the curve", "Bands that matter most (area lost when shuffled)")
    return Table("A classifier, tested on days of a lake that it never saw", columns, rows)


def _bands(differences: pd.DataFrame) -> Table:
    rows = []
    for nm in (412, 443, 490, 510, 555, 575, 620, 650, 665, 681, 709, 719):
        row = differences.iloc[int((differences["wavelength"] - nm).abs().argmin())]
        cells = [f"{row['wavelength']:.0f}"]
        for name, digits in (("mean", 2), ("spread", 2), ("texture", 4), ("neighbours", 2)):
            cells += [f"{row[f'{one}_{name}']:.{digits}f}" for one in ("real", "simulated")]
        rows.append(tuple("n/a" if cell == "nan" else cell for cell in cells))
    heads = ("Level", "Spread", "Texture", "Neighbours alike")
    columns = ("nm", *(f"{head}, {one}" for head in heads for one in ("real", "simulated")))
    return Table(
        "Shapes by band: median, spread, what smoothing takes away, correlation with the next band",
        columns,
        rows,
    )


def _truth(truth: pd.DataFrame) -> Table:
    rows = [
        (
            f"{row['quantity']}, {row['model']}",
            f"{row['r2_simulated']:.2f}" if np.isfinite(row["r2_simulated"]) else "n/a",
            f"{row['rho']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
            f"{row['n_rows']}",
        )
        for row in truth.to_dict("records")
    ]
    columns = ("Quantity and model", "R2, simulated weeks", "Spearman, real rows", "Rows")
    return Table(
        "Learned from simulated spectra alone, then tested on the current task's real rows", columns, rows
    )


def _record(record: pd.DataFrame, by: str) -> Table:
    rows = []
    for row in record.to_dict("records"):
        texts = [
            f"{row[f'{name}_50']:.3g} ({row[f'{name}_25']:.3g}-{row[f'{name}_75']:.3g})"
            for name in ("real", "simulated")
        ]
        below = [f"{100 * row[f'{name}_below']:.0f} %" for name in ("real", "simulated")]
        group = MONTH_NAMES[row["group"] - 1] if by == "month" else row["group"]
        quantity = "CDOM" if row["quantity"] == "cdom" else row["quantity"]
        rows.append((f"{group}, {quantity}", *texts, *below))
    label = "Month and quantity" if by == "month" else "Station and quantity"
    columns = (label, "Real", "Simulated", "Real below detection", "Simulated below detection")
    when = "by month" if by == "month" else "by station, July to October"
    caption = f"Laboratory record {when}: median (quartiles); ug/L, turbidity NTU, CDOM m^-1 at 400 nm"
    return Table(caption, columns, rows)


def _ranks(ranks: pd.DataFrame) -> Table:
    rows = [
        (
            f"{row['first']} and {row['second']}",
            *(f"{row[name]:.2f} ({row[f'n_{name}']:,})" for name in ("real", "simulated")),
        )
        for row in ranks.to_dict("records")
    ]
    columns = ("Of", "Real (samples)", "Simulated (samples)")
    return Table("Rank correlation in the laboratory record, June to October", columns, rows)


def facts_line(findings: Findings) -> str:
    """What was compared."""
    facts = findings.facts
    settings = facts["settings"]
    return (
        f"{facts['n_real']:,} real PACE spectra of {facts['n_days']} days, April to October, against "
        f"{facts['n_simulated']:,} simulated ones: station pixels of {settings['lakes']} simulated lakes "
        "on the same days, drawn so that months have the same shares. Seeds from "
        f"{settings['seed']} on. No real spectrum and no real residual is in the simulator."
    )


def realism_page(findings: Findings, pictures: Mapping[str, list[Picture]]) -> str:
    """One HTML page that holds everything in itself."""
    source = resources.files("spectm.evaluation").joinpath("templates/realism.html.j2")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        facts=facts_line(findings),
        sentences=sentences(findings),
        tables=tables(findings),
        pictures=pictures,
        command=command(findings),
        version=findings.facts["spectm_version"],
    )


def realism_images(pictures: Mapping[str, list[Picture]]) -> dict[str, Picture]:
    """The pictures of a documentation page by the names of their files."""
    return {
        f"realism-{section}-{number}.svg": picture
        for section, shown in pictures.items()
        for number, picture in enumerate(shown, start=1)
    }


def realism_markdown(findings: Findings, pictures: Mapping[str, list[Picture]]) -> str:
    """Tables and pictures as a documentation page; the latter lie in ``images`` beside it."""
    made = f"Written by `{command(findings)}`."
    lines = ["# Real against simulated", "", made, "", facts_line(findings), ""]
    lines += [f"- {sentence}" for sentence in sentences(findings)]
    titles = {
        "shape": "Shapes",
        "classifier": "A classifier",
        "truth": "The truth is used",
        "record": "The record",
    }
    for name, found in tables(findings).items():
        lines += ["", f"## {titles[name]}", ""]
        shown = realism_images({key: pictures[key] for key in SHOWN.get(name, ())})
        lines += [f"![{one.alt}](images/{file})\n\n*{one.caption}*\n" for file, one in shown.items()]
        lines += [markdown(table) for table in found]
    return "\n".join(lines).rstrip() + "\n"
