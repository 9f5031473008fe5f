"""One's own spectra: how a TOML file describes them, and the file of spectra that the commands read.

The description says which columns are what; `spectm.data.spectra_table` reads the table by it. What comes out
is a file of patches of one pixel with the target beside them, so that pretraining, training, scoring,
prediction and explanation need to be told nothing more.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from spectm.data.patches import Patches, read_patches, write_patches
from spectm.errors import ConfigError, SpectraError

__all__ = [
    "Description",
    "SensorSection",
    "Spectra",
    "SpectraSection",
    "Target",
    "read_spectra",
    "write_spectra",
]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
StrArray = npt.NDArray[np.str_]

TARGET, BELOW, SAMPLE, GROUP = "target", "target_below_detection", "sample_name", "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be estimated: a positive quantity with a detection limit.

    Parameters
    ----------
    name : str
        As tables and pages show it.
    unit : str
    detection_limit : float
        In that unit, positive: the least that counts, and what a value below detection counts as.
    column : str
        Where the values stand in the table; empty where there are none.
    thresholds : tuple of float
        In that unit: the probability to lie above each is given with every estimate.
    """

    name: str = "target"
    unit: str = "1"
    detection_limit: float = math.nan
    column: str = ""
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.column and not 0 < self.detection_limit < np.inf:
            found = "none" if math.isnan(self.detection_limit) else f"{self.detection_limit:g}"
            raise ConfigError(
                f"target.detection_limit wants a positive number, found {found}: estimates are made of "
                "logarithms, and what lies lower counts as below detection. Without a limit of the method, "
                "give the least value that means anything."
            )
        if any(not 0 < value < np.inf for value in self.thresholds):
            raise ConfigError(f"target.thresholds wants positive numbers, found {self.thresholds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectraSection:
    """Where the spectra are, and which columns are what.

    Parameters
    ----------
    files : tuple of str
        CSV, Excel, NetCDF or Zarr, relative to the description; ``*`` stands for any name.
    sheet : str
        Of Excel files; empty takes the first.
    sample, group : str
        Columns: the name of each spectrum; and what must not be divided (a date, a site, a campaign), so that
        nothing is tested on what it was learned from. Empty: line numbers; each spectrum by itself.
    time, latitude, longitude : str
        Columns, UTC and degrees; empty where there are none.
    band_column : str
        How the column of a band is called: ``{nm}``, ``Rrs_{nm}``.
    variable : str
        Of NetCDF and Zarr: reflectance over (sample, wavelength).
    quantity : {"Rrs", "reflectance"}
        sr-1; or dimensionless, which is divided by pi.
    simulated : bool
        Whether nothing of it was measured.
    source : str
        Whose data, for files and pages.
    """

    files: tuple[str, ...] = ()
    sheet: str = ""
    sample: str = ""
    group: str = ""
    time: str = ""
    latitude: str = ""
    longitude: str = ""
    band_column: str = "{nm}"
    variable: str = "Rrs"
    quantity: Literal["Rrs", "reflectance"] = "Rrs"
    simulated: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSection:
    """The bands to work with.

    Parameters
    ----------
    bands : str
        A named sensor, or a CSV with the columns ``wavelength_nm`` and ``width_nm``, relative to the
        description.
    method : {"nearest", "average"}
        Take the column nearest to each centre, within half a nanometre; or average finer spectra over the
        widths.
    """

    bands: str = "oci-aop-v3"
    method: Literal["nearest", "average"] = "nearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A file that describes spectra, section by section."""

    spectra: SpectraSection = field(default_factory=SpectraSection)
    sensor: SensorSection = field(default_factory=SensorSection)
    target: Target = field(default_factory=Target)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectra:
    """Spectra with their target.

    Parameters
    ----------
    patches : Patches
        Of one pixel each; ``station`` is the group. Without times each group has a day of its own from 1970
        on.
    sample, group : ndarray of str, shape (n,)
        Name of each spectrum, and what it must not be parted from.
    value : ndarray, shape (n,)
        The target in its unit, NaN where it was not measured; the limit where below detection.
    below : ndarray of bool, shape (n,)
        Below detection.
    target : Target
    has_time : bool
        Whether the times were measured.
    """

    patches: Patches
    sample: StrArray
    group: StrArray
    value: FloatArray
    below: BoolArray
    target: Target
    has_time: bool

    @property
    def labelled(self) -> npt.NDArray[np.int64]:
        """Rows whose target was measured and whose spectrum is whole."""
        whole = self.patches.valid.any(axis=(1, 2))
        return np.flatnonzero(np.isfinite(self.value) & whole)


def write_spectra(spectra: Spectra, path: Path) -> None:
    """Write spectra and target as one file; an older one is replaced once the new one is complete."""
    target = spectra.target
    said = {"units": target.unit, "long_name": target.name, "detection_limit": target.detection_limit}
    if target.thresholds:
        said["thresholds"] = np.array(target.thresholds)
    write_patches(
        spectra.patches,
        path,
        beside={
            TARGET: ("sample", spectra.value, said),
            BELOW: ("sample", spectra.below.astype(np.int8), {"long_name": "1 where below detection"}),
            SAMPLE: ("sample", spectra.sample.astype(object), {}),
            GROUP: ("sample", spectra.group.astype(object), {}),
        },
        attrs={"title": "Spectra with a target", "has_time": int(spectra.has_time)},
    )


def read_spectra(path: Path) -> Spectra:
    """Spectra of a file that `write_spectra` wrote.

    Raises
    ------
    PatchError
        If it is no file of patches.
    SpectraError
        If it holds patches without a target.
    """
    patches = read_patches(path)
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        missing = [name for name in (TARGET, BELOW, SAMPLE, GROUP) if name not in dataset.variables]
        if missing:
            raise SpectraError(
                f"{path}: wanted spectra with their target, found patches without {', '.join(missing)}. "
                f"Write it "
                "with spectm spectra; or, for patches of water, give a laboratory record with --labels."
            )
        said = dataset[TARGET].attrs
        target = Target(
            name=str(said["long_name"]),
            unit=str(said["units"]),
            detection_limit=float(said["detection_limit"]),
            thresholds=tuple(float(value) for value in np.atleast_1d(said.get("thresholds", []))),
        )
        return Spectra(
            patches=patches,
            sample=dataset[SAMPLE].values.astype(np.str_),
            group=dataset[GROUP].values.astype(np.str_),
            value=dataset[TARGET].values.astype(np.float64),
            below=dataset[BELOW].values.astype(np.bool_),
            target=target,
            has_time=bool(dataset.attrs["has_time"]),
        )
