"""A whole study in miniature: patches, pixels and a laboratory record that belong together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spectm.data.labels import Labels, read_labels
from spectm.data.patches import Patches, write_patches
from spectm.evaluation.task import Task, build_task

# 11 bands to 600 nm, then every 5 nm to 718: the windows hold 5, 4 and 5 of them, the last up to the end.
BANDS_NM = np.concatenate([np.arange(400.0, 610.0, 20.0), np.arange(613.0, 719.0, 5.0)])
IN_WINDOW = (
    ((BANDS_NM >= 615) & (BANDS_NM <= 640))
    | ((BANDS_NM >= 660) & (BANDS_NM <= 680))
    | ((BANDS_NM >= 695) & (BANDS_NM <= 720))
)
STATIONS = ("A", "B", "C", "D")
N_DATES = 8
FIRST = np.datetime64("2024-06-03")  # a Monday, and no date of the real record


@dataclass(frozen=True, kw_only=True)
class Study:
    """Data of one run, in memory and as files."""

    patches: Patches
    unlabelled: tuple[Patches, ...]
    labels: Labels
    tasks: dict[str, Task]
    patches_file: Path
    pixels_file: Path
    labels_file: Path


def bloom(day: np.ndarray, station: np.ndarray) -> np.ndarray:
    """Log10 of microcystin, ug/L: low in June, high in July, station A before D."""
    return 0.9 * np.sin(np.pi * (day - 3 * station) / (7 * N_DATES)) - 0.4


def make_patches() -> Patches:
    """Three by three pixels over four stations, on each sampling day and eight days before it.

    Stations C and D share a pixel, as neighbours do after regridding; a patch is empty, a pixel has a gap.
    """
    rng = np.random.default_rng(0)
    sampled = 7 * np.arange(N_DATES)
    overpass = np.repeat(np.sort(np.concatenate([sampled, sampled - 8])), len(STATIONS))  # days
    station = np.tile(np.arange(len(STATIONS)), 2 * N_DATES)
    green = np.exp(-(((BANDS_NM - 560) / 60) ** 2))
    red = np.exp(-(((BANDS_NM - 706) / 12) ** 2)) - 0.6 * np.exp(-(((BANDS_NM - 625) / 12) ** 2))
    level = bloom(overpass, station) + rng.normal(0, 0.15, overpass.size)
    bright = rng.uniform(0.7, 1.3, overpass.size)[:, None]
    spectrum = bright * (0.003 + 0.008 * green + 0.002 * (1.5 + level[:, None]) * red)
    Rrs = spectrum[..., None, None] * rng.normal(1, 0.01, (overpass.size, BANDS_NM.size, 3, 3))
    Rrs[3::4, :, 0, 0] = Rrs[2::4, :, 2, 2]
    Rrs[5] = np.nan
    Rrs[8, 4, 1, 1] = np.nan
    hours = np.timedelta64(18, "h") + 20 * station * np.timedelta64(1, "s")
    return Patches(
        Rrs=Rrs.astype(np.float32),
        wavelength=BANDS_NM,
        time=(FIRST + overpass).astype("datetime64[ns]") + hours,
        station=np.array(STATIONS)[station],
        latitude=41.7 + 0.02 * station,
        longitude=-83.3 + 0.02 * station,
        source="miniature patches",
    )


def make_pixels(patches: Patches) -> Patches:
    """Every other valid pixel of the patches once more, and some of March; no places."""
    sample, y, x = (position[::2] for position in np.nonzero(patches.valid))
    again = patches.Rrs[sample, :, y, x]
    march = again[:20] * np.float32(0.7)
    Rrs = np.concatenate([again, march])[:, :, None, None]
    early = np.datetime64("2024-03-10T18:00", "ns") + np.arange(20) * np.timedelta64(1, "D")
    unknown = np.full(len(Rrs), np.nan)
    return Patches(
        Rrs=Rrs,
        wavelength=patches.wavelength,
        time=np.concatenate([patches.time[sample], early]),
        station=np.full(len(Rrs), ""),
        latitude=unknown,
        longitude=unknown,
        source="miniature pixels",
    )


def label_lines() -> Iterator[str]:
    """The plain layout: two earlier years, and a 2024 with a few values below detection."""
    rng = np.random.default_rng(1)
    yield "station,time,microcystin,chlorophyll,phycocyanin,turbidity,depth_m"
    for years_ago in (3, 2, 0):
        for day in 7 * np.arange(N_DATES):
            date = np.datetime64(f"{2024 - years_ago}-06-03") + day
            for number, station in enumerate(STATIONS):
                value = 10 ** (bloom(day, number) + rng.normal(0, 0.25))
                text = f"{value:.3f}" if value > 0.25 else "<0.1"
                pigments = f"{20 * value:.1f},{8 * value:.1f}"
                yield f"{station},{date}T10:{30 + number}-04:00,{text},{pigments},7.5,0.5"


def write_study(folder: Path) -> Study:
    """Eight weekly dates at four stations: 32 rows of either task but for an empty patch."""
    labels_file = folder / "labels.csv"
    labels_file.write_text("\n".join(label_lines()) + "\n", encoding="utf-8")
    patches = make_patches()
    pixels = make_pixels(patches)
    write_patches(patches, folder / "patches.nc")
    write_patches(pixels, folder / "pixels.nc")
    labels = read_labels(labels_file)
    return Study(
        patches=patches,
        unlabelled=(pixels,),
        labels=labels,
        tasks={name: build_task(name, patches, labels) for name in ("current", "ahead")},
        patches_file=folder / "patches.nc",
        pixels_file=folder / "pixels.nc",
        labels_file=labels_file,
    )
