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

from spectm.data.patches import Patches, read_patches
from spectm.data.splits import excluded_by
from spectm.spectral.indices import INDICES
from spectm.training.blend import spectral_views
from spectm.training.forecast import local_days
from spectm.training.pretrain import pretrain, untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.ridge import GroupedRidge
from spectm.training.settings import Settings
from tools.blind_flags import dealt

FloatArray = npt.NDArray[np.floating[Any]]
READ = ("ss_665", "flh", "cyanobacteria_index", "pci", "pc_ratio")
SEEDS = 3


def views_without(
    patches: Patches,
    unlabelled: Sequence[Patches],
    tested: npt.NDArray[np.bool_],
    seeds: int,
    settings: Settings,
) -> tuple[npt.NDArray[np.bool_], dict[str, list[FloatArray]]]:
    """Patches to learn from, and what encoders that saw no others make of all patches, one for each seed."""
    times = np.concatenate([patches.first[tested], patches.last[tested]])
    kept = ~tested & ~excluded_by(patches.first, times, until=patches.last)
    sources = [patches.select(kept)]
    sources += [one.select(~excluded_by(one.first, times, until=one.last)) for one in unlabelled]
    fabric = Fabric(accelerator="cpu", devices=1)
    found: dict[str, list[FloatArray]] = {"pretrained": [], "random first weights": []}
    for seed in range(seeds):
        models = {
            "pretrained": pretrain(fabric, sources, settings, seed=seed).model,
            "random first weights": untrained(pretraining_data(sources), settings, seed=seed),
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
    for names in dealt(dates)["every fifth date left out"]:
        tested = np.isin(dates, names)
        kept, views = views_without(patches, unlabelled, tested, seeds, settings)
        for view, embedded in views.items():
            for target, values in targets.items():
                out = read.setdefault(view, {}).setdefault(target, np.full((seeds, values.size), np.nan))
                for seed, columns in enumerate(embedded):
                    ridge = GroupedRidge().fit(columns[kept], values[kept], dates[kept])
                    out[seed, tested] = ridge.predict(columns[tested])
    return read


def explained(read: FloatArray, values: FloatArray) -> float:
    """R2, mean over seeds."""
    return float(np.mean(1 - ((read - values) ** 2).sum(axis=1) / ((values - values.mean()) ** 2).sum()))


def table(read: Mapping[str, Mapping[str, FloatArray]], targets: Mapping[str, FloatArray]) -> str:
    """Markdown: a line for each target, a column for each kind of encoder."""
    lines = ["| Read from the embedding | " + " | ".join(read) + " |", "|---|" + "---|" * len(read)]
    for name, values in targets.items():
        cells = (f"{explained(each[name], values):.3f}" for each in read.values())
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.linear_reading", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    args = parser.parse_args(arguments)
    patches = read_patches(args.data / "pace_station_patches.nc")
    patches = patches.select(np.flatnonzero(patches.valid.any(axis=(1, 2))))
    spectra = patches.mean_spectrum()
    targets = {name: INDICES[name].function(spectra, patches.wavelength) for name in READ}
    pixels = read_patches(args.data / "pace_pixels.nc")
    read = out_of_date(patches, [pixels], targets, args.seeds, Settings())
    sys.stdout.write(
        f"R2 of {patches.n_samples} spectra, mean of {args.seeds} seeds\n\n{table(read, targets)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
