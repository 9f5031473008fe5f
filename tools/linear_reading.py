"""What a ridge regression reads from an embedding, whether it was pretrained or has its random first weights.

    python -m tools.linear_reading DATA

DATA holds pace_station_patches.nc and pace_pixels.nc. Every fifth date is left out in turn, with what lies
within 60 hours; encoders never see it. Targets are line heights and indices of the same spectra, in which
toxin shows: where random weights let as much of them through, masks have nothing to add for a linear head.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning_fabric import Fabric
from scipy.stats import zscore

from spectm.data.patches import Patches, read_patches
from spectm.evaluation.claims import claims, mean_over_seeds
from spectm.evaluation.findings import bracketed
from spectm.evaluation.scores import draw_weights, r2
from spectm.evaluation.sureness_blind import SPREAD_OUT, dealt, without
from spectm.spectral.indices import INDICES
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.pretrain import pretrain, untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.ridge import GroupedRidge
from spectm.training.settings import Settings

FloatArray = npt.NDArray[np.floating[Any]]
READ = ("ss_665", "cyanobacteria_index", "pci", "pc_ratio")  # defined for every spectrum; flh is -CI
PRETRAINED, RANDOM = "pretrained", "random first weights"
SEEDS, SETS = 10, 5


def views_without(
    patches: Patches,
    unlabelled: Sequence[Patches],
    tested: npt.NDArray[np.bool_],
    seeds: int,
    settings: Settings,
) -> tuple[npt.NDArray[np.bool_], dict[str, list[FloatArray]]]:
    """Patches to learn from, and what encoders that saw no others make of all patches, one for each seed."""
    kept, sources = without(patches, unlabelled, tested)
    fabric = Fabric(accelerator="cpu", devices=1)
    found: dict[str, list[FloatArray]] = {PRETRAINED: [], RANDOM: []}
    for seed in range(seeds):
        models = {
            PRETRAINED: pretrain(fabric, sources, settings, seed=seed).model,
            RANDOM: untrained(pretraining_data(sources), settings, seed=seed),
        }
        for name, model in models.items():
            found[name].append(spectral_views(patches, model.encoder.eval())["embedding"])
    return kept, found


def out_of_date(
    patches: Patches,
    unlabelled: Sequence[Patches],
    targets: Mapping[str, FloatArray],
    seeds: int,
    settings: Settings,
) -> dict[str, dict[str, FloatArray]]:
    """Each target as read from held-out spectra, by encoder: shape (n_seeds, n_patches)."""
    dates = local_days(patches.time)
    read: dict[str, dict[str, FloatArray]] = {}
    for names in dealt(dates, SETS)[SPREAD_OUT]:
        tested = np.isin(dates, names)
        kept, views = views_without(patches, unlabelled, tested, seeds, settings)
        for view, embedded in views.items():
            for target, values in targets.items():
                out = read.setdefault(view, {}).setdefault(target, np.full((seeds, values.size), np.nan))
                for seed, columns in enumerate(embedded):
                    ridge = GroupedRidge().fit(columns[kept], values[kept], dates[kept])
                    out[seed, tested] = ridge.predict(columns[tested])
    return read


def explained(read: FloatArray, values: FloatArray, dates: npt.NDArray[np.str_]) -> FloatArray:
    """R2 of each seed, and of each in every draw of dates, shape (n_seeds, 1 + 2000)."""
    weights = draw_weights(dates)
    return np.stack([r2(values, one, weights) for one in read])


def table(
    read: Mapping[str, Mapping[str, FloatArray]],
    targets: Mapping[str, FloatArray],
    dates: npt.NDArray[np.str_],
) -> str:
    """Markdown: R2 of each target by both kinds of encoder, and their difference, corrected for all lines."""
    draws = {
        kind: {name: explained(found[name], values, dates) for name, values in targets.items()}
        for kind, found in read.items()
    }
    differences = [mean_over_seeds(draws[PRETRAINED][name] - draws[RANDOM][name]) for name in targets]
    lines = [
        f"| Read from the embedding | R2, {PRETRAINED} | R2, {RANDOM} | Difference | Corrected |",
        "|---|---|---|---|---|",
    ]
    for name, claim in zip(targets, claims(differences), strict=True):
        means = (f"{draws[kind][name][:, 0].mean():.3f}" for kind in (PRETRAINED, RANDOM))
        cells = (*means, bracketed(claim.value, claim.low, claim.high, 3))
        corrected = f"[{claim.corrected_low:.3f}, {claim.corrected_high:.3f}]"
        lines.append(f"| `{name}` | {' | '.join(cells)} | {corrected} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.linear_reading", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    args = parser.parse_args(arguments)
    patches = read_patches(args.data / "pace_station_patches.nc")
    patches = patches.select(np.flatnonzero(patches.valid.any(axis=(1, 2))))
    spectra, dates = patches.mean_spectrum(), local_days(patches.time)
    targets = {name: zscore(INDICES[name].function(spectra, patches.wavelength)) for name in READ}
    pixels = read_patches(args.data / "pace_pixels.nc")
    read = out_of_date(patches, [pixels], targets, args.seeds, Settings())
    said = f"{patches.n_samples} spectra of {np.unique(dates).size} dates, {args.seeds} seeds"
    sys.stdout.write(f"{said}\n\n{table(read, targets, dates)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
