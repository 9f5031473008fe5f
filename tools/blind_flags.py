"""How often spectra are flagged with an encoder that was pretrained without their dates.

    python -m tools.blind_flags DATA

DATA holds pace_station_patches.nc and pace_pixels.nc. Dates are dealt into five sets: every fifth date, or
neighbours. For each set a model is pretrained without it and what lies within 60 hours; what the model makes
of the other dates sets the limits, and the set is judged by them. One table for each way to deal.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.patches import Patches, read_patches
from spectm.data.splits import excluded_by
from spectm.evaluation.calibration_scores import binomial_interval
from spectm.evaluation.sureness_familiar import fitted_to, flag_shares, judgements
from spectm.evaluation.sureness_findings import percent
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.forecaster import seen_by
from spectm.training.pretrain import pretrain
from spectm.training.settings import Settings

BoolArray = npt.NDArray[np.bool_]
SETS = 5


def dealt(dates: npt.NDArray[np.str_]) -> dict[str, list[npt.NDArray[np.str_]]]:
    """Dates in sets, each date once: every fifth together, or neighbours."""
    names = np.unique(dates)
    return {
        "every fifth date left out": [names[first::SETS] for first in range(SETS)],
        "neighbouring dates left out": list(np.array_split(names, SETS)),
    }


def blind_to(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray, settings: Settings
) -> tuple[BoolArray, Mapping[str, Any]]:
    """Patches that were learned from, and what a model pretrained on them makes of all patches."""
    times = np.concatenate([patches.first[test], patches.last[test]])
    kept = ~test & ~excluded_by(patches.first, times, until=patches.last)
    sources = [patches.select(kept)]
    sources += [one.select(~excluded_by(one.first, times, until=one.last)) for one in unlabelled]
    model = pretrain(Fabric(accelerator="cpu", devices=1), sources, settings, seed=0).model.eval()
    return kept, seen_by(patches, (model,), (spectral_views(patches, model.encoder),))


def blind_shares(
    patches: Patches,
    unlabelled: Sequence[Patches],
    sets: Sequence[npt.NDArray[np.str_]],
    settings: Settings,
) -> pd.DataFrame:
    """Shares that are flagged when each set of dates is left out: see `flag_shares`."""
    days, whole = local_days(patches.time), np.isfinite(patches.mean_spectrum()).all(axis=1)
    parts = []
    for names in sets:
        test = whole & np.isin(days, names)
        kept, seen = blind_to(patches, unlabelled, np.isin(days, names), settings)
        known = fitted_to(patches, seen, kept)
        flags = known.flag(**{name: values[test] for name, values in seen.items()})
        parts.append(judgements(flags, days[test]))
    return flag_shares("blind", pd.concat(parts).fillna(False))


def table(shares: pd.DataFrame) -> str:
    """Markdown."""
    lines = ["| Reason | Spectra | Dates, mean [95 %] |", "|---|---|---|"]
    for row in shares.to_dict("records"):
        found = binomial_interval(row["share_of_dates"], row["n_dates"])
        lines.append(f"| {row['reason']} | {100 * row['share']:.0f} % | {percent(found)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    folder = parser.parse_args().data
    lake, pixels = (read_patches(folder / name) for name in ("pace_station_patches.nc", "pace_pixels.nc"))
    for name, sets in dealt(local_days(lake.time)).items():
        shares = blind_shares(lake, [pixels], sets, Settings())
        of = f"{shares['n'].iloc[0]} spectra of {shares['n_dates'].iloc[0]} dates"
        sizes = " or ".join(map(str, sorted({one.size for one in sets})))
        sys.stdout.write(f"\n{name}, {sizes} at once, {of}:\n\n{table(shares)}\n")
        sys.stdout.flush()
