"""How often spectra are flagged with an encoder that was pretrained without their dates.

    python -m tools.blind_flags DATA

DATA holds pace_station_patches.nc and pace_pixels.nc. Dates are dealt into five sets: every fifth date, or
neighbours. For each set a model is pretrained without it and what lies within 60 hours; what the model makes
of the other dates sets the limits, and the set is judged by them, as it is and with something wrong with it:
what a released model does, with its encoder and the limits that belong to it. One table for each way to deal.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.patches import Patches, read_patches
from spectm.data.splits import excluded_by
from spectm.evaluation.calibration_scores import binomial_interval
from spectm.evaluation.sureness_corruptions import corruptions, mild_changes
from spectm.evaluation.sureness_familiar import ANY, LAKE, fitted_to, flag_shares, judgements
from spectm.evaluation.sureness_findings import percent
from spectm.model.spectm import SpecTM
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.forecaster import seen_by
from spectm.training.pretrain import pretrain
from spectm.training.settings import Settings

BoolArray = npt.NDArray[np.bool_]
Seen = dict[str, Any]
SETS = 5


def dealt(dates: npt.NDArray[np.str_]) -> dict[str, list[npt.NDArray[np.str_]]]:
    """Dates in sets, each date once: every fifth together, or neighbours."""
    names = np.unique(dates)
    return {
        "every fifth date left out": [names[first::SETS] for first in range(SETS)],
        "neighbouring dates left out": list(np.array_split(names, SETS)),
    }


def without(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray
) -> tuple[BoolArray, list[Patches]]:
    """Patches that may be learned from, and all spectra: neither tested nor within 60 hours of what is."""
    times = np.concatenate([patches.first[test], patches.last[test]])
    kept = ~test & ~excluded_by(patches.first, times, until=patches.last)
    sources = [patches.select(kept)]
    return kept, sources + [one.select(~excluded_by(one.first, times, until=one.last)) for one in unlabelled]


def blind_to(
    patches: Patches, unlabelled: Sequence[Patches], test: BoolArray, settings: Settings
) -> tuple[BoolArray, SpecTM]:
    """Patches that were learned from, and a model pretrained on them."""
    kept, sources = without(patches, unlabelled, test)
    return kept, pretrain(Fabric(accelerator="cpu", devices=1), sources, settings, seed=0).model.eval()


def made_of(patches: Patches, model: SpecTM) -> Seen:
    """What a model makes of patches."""
    return seen_by(patches, (model,), (spectral_views(patches, model.encoder),))


def blind_shares(
    patches: Patches,
    unlabelled: Sequence[Patches],
    sets: Sequence[npt.NDArray[np.str_]],
    settings: Settings,
) -> pd.DataFrame:
    """Shares that are flagged when each set of dates is left out: see `flag_shares`.

    Of `LAKE`, as the spectra are, and of each of `corruptions` and `mild_changes`, as patches of one pixel.
    """
    days, whole = local_days(patches.time), np.isfinite(patches.mean_spectrum()).all(axis=1)
    rng, found = np.random.default_rng(0), dict[str, list[pd.DataFrame]]()
    for names in sets:
        kept, model = blind_to(patches, unlabelled, np.isin(days, names), settings)
        known = fitted_to(patches, made_of(patches, model), kept)
        tested = patches.select(np.flatnonzero(whole & np.isin(days, names)))
        spectra = tested.mean_spectrum()
        wrong = corruptions(spectra, patches.wavelength, rng) | mild_changes(spectra)
        judged = {name: replace(tested, Rrs=_one_pixel(Rrs)) for name, Rrs in wrong.items()}
        for name, one in ({LAKE: tested} | judged).items():
            part = judgements(known.flag(**made_of(one, model)), local_days(one.time))
            found.setdefault(name, []).append(part)
    shares = [flag_shares(name, pd.concat(parts).fillna(False)) for name, parts in found.items()]
    return pd.concat(shares, ignore_index=True)


def _one_pixel(spectra: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    return spectra[:, :, None, None].astype(np.float32)


def table(shares: pd.DataFrame) -> str:
    """Markdown: the lake by reason, all else by any."""
    lines = ["| Spectra | Reason | Flagged | Dates, mean [95 %] |", "|---|---|---|---|"]
    for row in shares[shares["spectra"].eq(LAKE) | shares["reason"].eq(ANY)].to_dict("records"):
        found = binomial_interval(row["share_of_dates"], row["n_dates"])
        share = f"{100 * row['share']:.0f} %"
        lines.append(f"| {row['spectra']} | {row['reason']} | {share} | {percent(found)} |")
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
