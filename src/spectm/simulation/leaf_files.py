"""Files of simulated leaves: spectra with chlorophyll, bands, a description, and settings to begin with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spectm.errors import SimulationError
from spectm.files import write_text
from spectm.simulation.leaf import draw_leaves, leaf_reflectance

__all__ = ["BANDS_NM", "write_leaves"]

BANDS_NM = np.arange(400.0, 1001.0, 5.0)
WIDTH_NM = 5.0
NOISE_SHARE, NOISE = 0.005, 0.002  # of reflectance, and everywhere: a field spectrometer on a good day
LABORATORY_SHARE = 0.08  # of chlorophyll: extraction and photometer
DETECTION_LIMIT = 2.0

DESCRIPTION = """\
# Which columns are what: see docs/own-sensor.md
[spectra]
files = ["leaves.csv"]
sample = "leaf"
group = "site"
band_column = "r{nm}"
quantity = "reflectance"
simulated = true
source = "simulated leaves"

[sensor]
bands = "bands.csv"

[target]
name = "chlorophyll"
column = "chlorophyll"
unit = "ug cm-2"
detection_limit = 2.0
thresholds = [20.0]
"""
SETTINGS = """\
[windows]
set = "vegetation-red-edge"

[indices]
built_in = false
own = [
    "red_edge_difference = (r750 - r705) / (r750 + r705)",
    "red_edge_ratio = r780 / r710 - 1",
    "green_ratio = r780 / r550 - 1",
]
"""


def write_leaves(out: Path, *, n: int, labelled: int, sites: int, seed: int) -> list[Path]:
    """Write four files of simulated leaves; the same arguments give the same bytes.

    Parameters
    ----------
    out : Path
        Folder; made where missing, files of the same names are replaced.
    n, labelled : int
        Leaves, and how many of them a laboratory looked at.
    sites : int
        Each with plants of its own.
    seed : int

    Raises
    ------
    SimulationError
        If there are fewer leaves than labelled ones, or fewer of these than sites.
    """
    if not 1 <= sites <= labelled <= n:
        raise SimulationError(
            f"wanted at least one site, a labelled leaf for each, and as many leaves as labelled ones; found "
            f"{sites} sites, {labelled} labelled, {n} leaves."
        )
    rng = np.random.default_rng(seed)
    leaves, site = draw_leaves(n, rng, sites=sites)
    true = leaf_reflectance(leaves, BANDS_NM)
    seen = true * (1 + rng.normal(0, NOISE_SHARE, true.shape)) + rng.normal(0, NOISE, true.shape)
    measured = leaves.chlorophyll * np.exp(rng.normal(0, LABORATORY_SHARE, n))
    chosen = set(rng.permutation(n)[:labelled].tolist())

    def lines() -> Iterator[str]:
        yield ",".join(["leaf", "site", "source", "chlorophyll", *(f"r{nm:g}" for nm in BANDS_NM)])
        for row in range(n):
            value = f"{measured[row]:.2f}" if measured[row] >= DETECTION_LIMIT else f"<{DETECTION_LIMIT:g}"
            cells = [f"leaf{row:04d}", f"site{site[row]:02d}", "simulated", value if row in chosen else ""]
            yield ",".join([*cells, *(f"{value:.4f}" for value in seen[row])])

    bands = ["wavelength_nm,width_nm", *(f"{nm:g},{WIDTH_NM:g}" for nm in BANDS_NM)]
    texts = {
        "leaves.csv": "\n".join(lines()) + "\n",
        "bands.csv": "\n".join(bands) + "\n",
        "leaves.toml": DESCRIPTION,
        "settings.toml": SETTINGS,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / name for name in texts]
