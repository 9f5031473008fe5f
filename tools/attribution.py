"""What models make of waters that are known: two tables of docs/explanations.md, printed as Markdown.

    python -m tools.attribution changes               # one part of a water is changed
    python -m tools.attribution windows               # do models look at the windows? ten of each kind
    python -m tools.attribution windows --models 2

All waters are simulated; the tests of explanations stand on them, too.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.context import Climatology
from spectm.data.memory import Memory, Record
from spectm.data.patches import Patches
from spectm.evaluation.agreement import Agreement, window_test
from spectm.model.encoder import EncoderConfig
from spectm.simulation.climate import MINERAL_FLOOR, PROPERTIES, SUMMER_DAY, SUMMER_DAYS
from spectm.simulation.lake import SimulatedLake
from spectm.simulation.survey import sample_lake
from spectm.spectral.optics import Water, band_reflectance
from spectm.spectral.sensors import named_sensor
from spectm.training.checkpoint import read_checkpoint
from spectm.training.forecaster import Forecaster, train_forecaster
from spectm.training.loop import LoopConfig
from spectm.training.pretrain import pretrain
from spectm.training.released import forecaster_of, model_folder
from spectm.training.settings import PretrainConfig, Settings
from spectm.trust.agreement import pooled_p_value

FloatArray = npt.NDArray[np.floating[Any]]
Waters = dict[str, FloatArray]
WindowStudy = tuple[Patches, FloatArray, Climatology | None]

OCI = named_sensor("oci-aop-v3")
SHUFFLES, SPECTRA = 19, 24
HALF_SUMMER = SUMMER_DAY - SUMMER_DAYS * np.sqrt(2 * np.log(2))  # day of the year
SEEN = 2.0  # mg m^-3 of phycocyanin; less of it hardly colours the water
CHANGES = {
    "phycocyanin times 3": {"phycocyanin": 3.0},
    "phycocyanin and chlorophyll of cyanobacteria times 3": {"phycocyanin": 3.0, "cyano_chlorophyll": 3.0},
    "minerals times 2": {"minerals": 2.0},
    "CDOM times 1.5": {"cdom_440": 1.5},
    "chlorophyll of other algae times 2": {"chlorophyll": 2.0},
    "brightness times 1.02, the noise": {},
}
"""What is changed, by its name in the table; brightness is no part of a water."""
BRIGHTER, UNCHANGED = np.float32(1.02), np.float32(1.0)


def waters(seed: int, n: int) -> Waters:
    """Waters whose parts know nothing of one another, with optical properties as they vary in a lake."""
    rng = np.random.default_rng(seed)
    usual = {
        "phycocyanin": (0.6, 0.6),
        "chlorophyll": (1.1, 0.25),
        "cyano_chlorophyll": (0.6, 0.25),
        "minerals": (0.9, 0.3),
        "cdom_440": (-0.2, 0.2),
    }
    contents = {name: 10 ** rng.normal(middle, spread, n) for name, (middle, spread) in usual.items()}
    return contents | properties(rng, n)


def properties(rng: np.random.Generator, n: int) -> Waters:
    """Optical properties as they vary over a lake, halfway between winter and summer."""
    return {name: one.values(HALF_SUMMER, rng.normal(size=n)) for name, one in PROPERTIES.items()}


def patches_of(contents: Waters, rng: np.random.Generator, *, noise: float = 1.0) -> Patches:
    """Six stations every week, as OCI sees them with an error of brightness and of each band."""
    Rrs = band_reflectance(Water(**contents), OCI)
    Rrs = Rrs * rng.normal(1, 0.02 * noise, (len(Rrs), 1)) + rng.normal(0, 1e-4 * noise, Rrs.shape)
    week, station = np.divmod(np.arange(len(Rrs)), 6)
    return Patches(
        Rrs=Rrs.astype(np.float32)[:, :, None, None],
        wavelength=OCI.wavelength,
        time=np.datetime64("2024-04-20T18:00", "ns") + week * np.timedelta64(7, "D"),
        station=np.array(list("ABCDEF"))[station],
        latitude=np.full(len(Rrs), 41.7),
        longitude=np.full(len(Rrs), -83.0),
        source="simulated waters",
        simulated=True,
    )


def learned(
    patches: Patches, y: FloatArray, seed: int, *, steps: int, calendar: Climatology | None = None
) -> tuple[Forecaster, pd.DataFrame]:
    """A small model, pretrained and fitted to these spectra; without a calendar all days are usual ones."""
    time = pd.DatetimeIndex(patches.time, tz="UTC")
    rows = pd.DataFrame({"patch": np.arange(y.size), "station": patches.station})
    rows["date"] = time.tz_convert("America/New_York").strftime("%Y-%m-%d")
    rows["sample_time"], rows["overpass_time"] = time, time
    loop = LoopConfig(steps=steps, batch_size=64, validate_every=20, learning_rate=3e-3)
    settings = Settings(
        encoder=EncoderConfig(width=32, depth=1, heads=4), pretraining=PretrainConfig(loop=loop)
    )
    flat = Climatology(
        day_of_year=np.array([180.0]), station=np.array(["A"]), log10_value=np.array([y.mean()])
    )
    record = Record(climatology=calendar or flat, memory=Memory(days=10.0, spread=0.4), last_year=2023)
    fabric = Fabric(accelerator="cpu", devices=1)
    pretrained = pretrain(fabric, [patches], settings, seed=seed).model
    return train_forecaster([pretrained], settings, patches, rows, y, record, {"simulated": True}), rows


def pigment_study(seed: int, n: int = 120) -> WindowStudy:
    """Waters whose phycocyanin goes with nothing else, and labels that follow it."""
    rng = np.random.default_rng([seed, 1])  # other draws than those of the waters: noise must not follow them
    contents = waters(seed, n)
    y = np.log10(contents["phycocyanin"]) - 0.9 + rng.normal(0, 0.1, n)
    return patches_of(contents, rng), np.maximum(y, -1.0), None


def survey(seed: int) -> pd.DataFrame:
    """A year of a simulated lake's laboratory, and what its waters held and were like."""
    lake = SimulatedLake(seed, (2024,))
    table = sample_lake(lake)
    table["moment"] = pd.DatetimeIndex([pd.Timestamp(one).tz_convert("UTC") for one in table["moment"]])
    moments = table["moment"].dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    places = table[["latitude", "longitude"]].to_numpy()
    optics = [lake.optics(moment, *place) for moment, place in zip(moments, places, strict=True)]
    table[list(PROPERTIES)] = [[one[name].item() for name in PROPERTIES] for one in optics]
    table["date"] = table["moment"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    return table.rename(columns={"particulate_microcystin": "toxin"})


def lake_studies(n: int) -> Iterator[WindowStudy]:
    """Years of lakes as OCI sees their waters; what is usual is what one more of them had."""
    calendar = Climatology.fit(survey(n), last_year=2024, quantity="toxin")
    for seed in range(n):
        table, rng = survey(seed), np.random.default_rng(seed)
        parts = ("chlorophyll", "cyano_chlorophyll", "phycocyanin", "cdom_440", "minerals", "scum_fraction")
        contents = {name: table[name].to_numpy() for name in (*parts, *PROPERTIES)}
        contents["mineral_absorption_floor"] = np.full(len(table), MINERAL_FLOOR)
        patches = replace(
            patches_of(contents, rng),
            time=table["moment"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]"),
            station=table["station"].to_numpy(dtype=np.str_),
        )
        yield patches, np.log10(np.maximum(table["toxin"].to_numpy(), 0.1)), calendar


def agreements(studies: Iterable[WindowStudy]) -> list[Agreement]:
    """Of one small model for each study."""
    found = []
    for seed, (patches, y, calendar) in enumerate(studies):
        model, rows = learned(patches, y, seed, steps=40, calendar=calendar)
        rng = np.random.default_rng(seed)
        found.append(window_test(model, patches, rows, y, rng=rng, shuffles=SHUFFLES, spectra=SPECTRA))
    return found


def pooled_p(found: Sequence[Agreement]) -> tuple[float, float]:
    """P of the mean share of the windows, and of the mean of how far they move estimates."""
    share = pooled_p_value(
        [one.observed for one in found], [one.null for one in found], np.random.default_rng(0)
    )
    effect = pooled_p_value(
        [one.effect for one in found], [one.effect_null for one in found], np.random.default_rng(0)
    )
    return share, effect


def window_row(name: str, found: Sequence[Agreement]) -> str:
    """One line of the table: means over models with their range, and medians of what chance gives."""

    def spread(values: Sequence[float]) -> str:
        return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    share_p, effect_p = map(_p, pooled_p(found))
    chance = [float(np.median(one.null)) for one in found]
    middle = [float(np.median(one.effect_null)) for one in found]
    cells = (
        *(f"{name}, {len(found)}", spread([one.observed for one in found])),
        *(f"{np.mean(chance):.2f}", share_p, spread([one.effect for one in found])),
        *(f"{min(middle):.2f} to {max(middle):.2f} in the middle", effect_p),
    )
    return f"| {' | '.join(cells)} |"


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.{3 if value < 0.01 else 2}f}"


def windows(n: int) -> Iterator[str]:
    """The table of models of simulated data, line by line."""
    yield "| | Agreement | Shuffled, median | p | Windows move by, log10 | Shuffled | p |"
    yield "|---|---|---|---|---|---|---|"
    yield window_row("phycocyanin goes with nothing else", agreements(map(pigment_study, range(n))))
    yield window_row("simulated lakes", agreements(lake_studies(n)))


def changes(
    model: Forecaster, contents: Waters, placed: Callable[[Patches], Patches] = lambda patches: patches
) -> dict[str, FloatArray]:
    """By how much each of `CHANGES` moves the estimates of some waters, log10, calendar and place fixed.

    Parameters
    ----------
    model : Forecaster
    contents : dict
        Of `waters`.
    placed : callable
        Puts patches where and when they are to be.
    """
    rng = np.random.default_rng(0)  # asked for, and multiplied by zero

    def said(brightness: np.float32 = UNCHANGED, **times: float) -> FloatArray:
        other = contents | {name: contents[name] * factor for name, factor in times.items()}
        patches = placed(patches_of(other, rng, noise=0.0))
        return model.estimate(replace(patches, Rrs=patches.Rrs * brightness))[0]

    before = said()
    return {
        name: said(**change) - before if change else said(BRIGHTER) - before
        for name, change in CHANGES.items()
    }


def pigment_model() -> Forecaster:
    """A small model of 480 waters whose labels follow phycocyanin."""
    patches, y, _ = pigment_study(0, 480)
    return learned(patches, y, seed=0, steps=60)[0]


def in_august(patches: Patches) -> Patches:
    """The same waters, all at station WE2 of Lake Erie on 12 August 2024."""
    n = patches.n_samples
    return replace(
        patches,
        time=np.full(n, np.datetime64("2024-08-12T18:00", "ns")),
        station=np.full(n, "WE2"),
        latitude=np.full(n, 41.762),
        longitude=np.full(n, -83.330),
    )


def change_table() -> Iterator[str]:
    """The table of changed waters: a model that learned from such waters, and the released one."""
    fresh = waters(1000, 240)
    released = forecaster_of(read_checkpoint(model_folder("erie-2024")))
    columns = [changes(pigment_model(), fresh), changes(released, fresh, in_august)]
    seen = fresh["phycocyanin"] > SEEN
    yield "| Change | Model of such waters | erie-2024 |"
    yield "|---|---|---|"
    for name in CHANGES:
        cells = (_change(column[name][seen]) for column in columns)
        yield f"| {name} | {' | '.join(cells)} |"
    clear = in_august(patches_of(fresh, np.random.default_rng(0), noise=0.0)).select(np.flatnonzero(seen))
    flags = released.look(clear).flags
    said = [f"{name} {100 * found.mean():.0f} %" for name, found in flags.reasons.items() if found.any()]
    yield f"\n{seen.sum()} waters. erie-2024 flags {100 * flags.flagged.mean():.0f} %: {', '.join(said)}"


def _change(values: FloatArray) -> str:
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{np.median(values):+.3f} ({low:+.3f} to {high:+.3f}); rises in {100 * (values > 0).mean():.0f} %"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=("changes", "windows"))
    parser.add_argument(
        "--models", type=int, default=10, metavar="N", help="of windows (default: %(default)s)"
    )
    args = parser.parse_args()
    for line in change_table() if args.table == "changes" else windows(args.models):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
