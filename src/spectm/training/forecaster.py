"""A released model: an ensemble of encoders with a blend each, and all it knows of the calendar.

It needs no training file: climatology, memory, normalisation and the rows that it was trained on travel with
the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from spectm.config import from_mapping
from spectm.data.context import DETECTION_LIMIT, Climatology, day_of_year
from spectm.data.layouts import EASTERN
from spectm.data.memory import Memory, Record
from spectm.data.patches import Patches
from spectm.data.splits import excluded_by, row_times
from spectm.errors import CheckpointError
from spectm.model.encoder import BandStatistics, SpectralEncoder
from spectm.model.spectm import SpecTM
from spectm.training.blend import Blend, Member, spectral_views
from spectm.training.checkpoint import UNITS, Checkpoint, check_bands, read_checkpoint, write_checkpoint
from spectm.training.history import Departures, carried
from spectm.training.pretrain import layout_for
from spectm.training.ridge import GroupedRidge, Standardiser
from spectm.training.settings import Settings

__all__ = [
    "Forecaster",
    "forecast",
    "load",
    "model_folder",
    "places",
    "released_names",
    "sample_key",
    "train_forecaster",
    "usual_at",
]

FloatArray = npt.NDArray[np.floating[Any]]
StringArray = npt.NDArray[np.str_]
TimeArray = npt.NDArray[np.datetime64]

_ARRAYS = ("low_", "typical_", "high_")
_RIDGE_ARRAYS = ("mean_", "scale_")
_SECTIONS = tuple(one.name for one in fields(Settings))  # of models; those of a comparison are no part of one


def usual_at(climatology: Climatology, time: TimeArray, station: StringArray) -> FloatArray:
    """What is usual at places on the local day of some moments (UTC), log10, shape (n,)."""
    days = pd.DatetimeIndex(time, tz="UTC").tz_convert(EASTERN).strftime("%Y-%m-%d")
    return climatology.predict(day_of_year(pd.Series(days)), station)


def places(patches: Patches) -> StringArray:
    """A name for the place of each patch: the station, else its position, else a name of its own."""
    of_position = [
        f"{latitude:.4f}, {longitude:.4f}" if np.isfinite(latitude + longitude) else f"patch {number}"
        for number, (latitude, longitude) in enumerate(zip(patches.latitude, patches.longitude, strict=True))
    ]
    return np.where(patches.station != "", patches.station, of_position).astype(np.str_)


def forecast(
    patches: Patches,
    estimate: FloatArray,
    spread: float,
    record: Record,
    targets: pd.DataFrame,
    *,
    own: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """From estimates of all overpasses of some places to estimates for targets.

    Parameters
    ----------
    patches : Patches
        Where and when the overpasses were.
    estimate : ndarray, shape (sample,)
        Of each patch by itself, log10; NaN where nothing was seen.
    spread : float
        Standard deviation of these, log10.
    record : Record
        Climatology and memory.
    targets : DataFrame
        Columns ``station``, ``date`` (local day of the target), ``overpass_time`` (UTC: nothing later is
        looked at) and ``lead_days`` (from the overpass to the target; 0 for the same days). Column ``place``,
        one of `places`, where that is no station.
    own : tuple of ndarray, shape (n,), optional
        One more departure of each row and its age in days, as the last laboratory value; NaN for none.

    Returns
    -------
    tuple of ndarray, shape (n,)
        Mean and standard deviation of log10 of the quantity; NaN where no overpass of ten days was seen.
    """
    usual = usual_at(record.climatology, patches.time, patches.station)
    known = Departures(value=estimate - usual, place=places(patches), time=patches.time)
    station = targets["station"].to_numpy(dtype=np.str_)
    place = targets["place"].to_numpy(dtype=np.str_) if "place" in targets else station
    overpass = targets["overpass_time"].to_numpy(dtype="datetime64[ns]")
    value, age = (None, None) if own is None else own
    departure, left = carried(
        known,
        place,
        overpass,
        targets["lead_days"].to_numpy(dtype=np.float64),
        record.memory,
        own=value,
        own_age_days=age,
    )
    mean = record.climatology.predict(day_of_year(targets["date"]), station) + departure
    mean = np.maximum(mean, np.log10(DETECTION_LIMIT))  # NaN stays
    return mean, np.sqrt((left * spread) ** 2 + (1 - left**2) * record.memory.spread**2)


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """Encoders, a blend on each, and the laboratory's earlier years.

    Parameters
    ----------
    encoders : tuple of SpectralEncoder
        One of each pretraining; none for blends of reflectance and indices alone.
    blends : tuple of Blend
        As many as encoders, or one.
    record : Record
        Climatology and memory.
    settings : Settings
        Of the encoders.
    meta : dict
        ``wavelength_nm``, ``units``, ``provenance`` and ``samples``: the laboratory samples learned from, as
        "station, local date"; ``times``: UTC of these samples and of their overpasses; ``last_record_year``.
    """

    encoders: tuple[SpectralEncoder, ...]
    blends: tuple[Blend, ...]
    record: Record
    settings: Settings
    meta: dict[str, Any]

    def estimate(self, patches: Patches) -> tuple[FloatArray, float]:
        """Estimate of each patch by itself, log10, shape (sample,), and its standard deviation.

        Raises
        ------
        CheckpointError
            If the patches have other bands.
        """
        _check(self.meta, patches)
        usual = usual_at(self.record.climatology, patches.time, patches.station)
        encoders: Sequence[SpectralEncoder | None] = self.encoders or (None,)
        found = [
            blend.predict(spectral_views(patches, encoder), usual)
            for encoder, blend in zip(encoders, self.blends, strict=True)
        ]
        return np.mean(found, axis=0), float(np.sqrt(np.mean([blend.spread_**2 for blend in self.blends])))

    def predict(self, patches: Patches, targets: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 of the quantity, shape (n,) each; see `forecast`."""
        return forecast(patches, *self.estimate(patches), self.record, targets)

    def predict_patches(
        self, patches: Patches, lead_days: Sequence[float]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Mean and standard deviation for the place of each patch, shape (sample,), for each lead in days.

        Earlier patches count where they have the same station, or the same position to 0.0001 degrees.
        """
        estimate, found = self.estimate(patches), []
        for lead in lead_days:
            later = patches.time + np.timedelta64(round(lead * 86400), "s")
            days = pd.DatetimeIndex(later, tz="UTC").tz_convert(EASTERN).strftime("%Y-%m-%d")
            targets = pd.DataFrame({"station": patches.station, "place": places(patches), "date": days})
            targets["overpass_time"], targets["lead_days"] = patches.time, lead
            found.append(forecast(patches, *estimate, self.record, targets))
        return found

    def knows(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether laboratory samples were learned from, shape (n,): by ``station`` and ``date`` of the rows.

        Samples of the years that climatology and memory are of are known, too.
        """
        known, last_year = set(self.meta["samples"]), self.meta["last_record_year"]
        of_rows = [sample_key(*row) in known for row in zip(rows["station"], rows["date"], strict=True)]
        earlier = rows["date"].str[:4].astype(int).to_numpy() <= last_year
        return np.logical_or(np.array(of_rows, dtype=np.bool_), earlier)

    def is_near(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether ``sample_time`` or ``overpass_time`` lies within 60 hours of what was learned from."""
        learned = np.array(self.meta["times"], dtype="datetime64[ns]")
        near: npt.NDArray[np.bool_] = excluded_by(row_times(rows), learned).reshape(2, -1)
        return near[0] | near[1]

    def save(self, folder: Path) -> None:
        """Write or replace a folder that `load` reads."""
        weights: dict[str, torch.Tensor] = {}
        for number, encoder in enumerate(self.encoders):
            weights |= {f"encoder.{number}.{name}": value for name, value in encoder.state_dict().items()}
        for number, blend in enumerate(self.blends):
            for place, member in enumerate(blend.members_):
                arrays = _arrays(member)
                weights |= {f"blend.{number}.{place}.{n}": torch.from_numpy(a) for n, a in arrays.items()}
        meta = {
            **self.meta,
            "units": UNITS,
            "settings": {name: asdict(getattr(self.settings, name)) for name in _SECTIONS},
            "normalisation": [_plain(encoder.statistics) for encoder in self.encoders],
            "blends": [_described(blend) for blend in self.blends],
            "climatology": self.record.climatology.to_dict(),
            "memory": self.record.memory.to_dict(),
        }
        write_checkpoint(folder, kind="forecaster", weights=weights, meta=meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        CheckpointError
            If there is none, or it is damaged.
        """
        checkpoint = read_checkpoint(folder, kind="forecaster")
        meta, weights = checkpoint.meta, checkpoint.weights
        settings = from_mapping(Settings, meta["settings"], where=str(folder / "checkpoint.json"))
        layout = layout_for(settings, np.array(meta["wavelength_nm"]))
        encoders = []
        for number, known in enumerate(meta["normalisation"]):
            statistics = BandStatistics(
                np.array(meta["wavelength_nm"]),
                np.array(known["centre"]),
                np.array(known["scale"]),
                tuple(known["log_brightness"]),
            )
            with torch.random.fork_rng(devices=[]):
                encoder = SpectralEncoder(settings.encoder, settings.preprocess, layout, statistics)
            encoder.load_state_dict(_under(weights, f"encoder.{number}."))
            encoders.append(encoder.eval())
        blends = [
            _blend(described, _under(weights, f"blend.{number}."))
            for number, described in enumerate(meta["blends"])
        ]
        record = Record(
            climatology=Climatology.from_dict(meta["climatology"]), memory=Memory(**meta["memory"])
        )
        return cls(tuple(encoders), tuple(blends), record, settings, meta)


def train_forecaster(
    pretrained: Sequence[SpecTM],
    settings: Settings,
    patches: Patches,
    rows: pd.DataFrame,
    y: FloatArray,
    record: Record,
    provenance: Mapping[str, Any],
    *,
    last_record_year: int,
) -> Forecaster:
    """Learn a blend on each pretrained model from the rows of the task "current".

    Parameters
    ----------
    pretrained : sequence of SpecTM
        One for each seed; none for blends of reflectance and indices alone.
    settings : Settings
        They were pretrained with.
    patches : Patches
        That the rows point into.
    rows : DataFrame
        Columns ``patch``, ``station``, ``date``, ``sample_time`` and ``overpass_time``.
    y : ndarray, shape (n,)
        Target, log10; the limit where below detection.
    record : Record
        Climatology and memory.
    provenance : mapping
        Plain JSON values: files, dates, licence.
    last_record_year : int
        Of the laboratory's years that `record` is of.
    """
    usual = record.climatology.predict(day_of_year(rows["date"]), rows["station"])
    dates, patch = rows["date"].to_numpy(dtype=np.str_), rows["patch"].to_numpy()
    encoders = tuple(model.encoder.eval() for model in pretrained)
    blends = []
    for encoder in encoders or (None,):
        views = {name: columns[patch] for name, columns in spectral_views(patches, encoder).items()}
        blends.append(Blend(tuple(views), seasonal=True).fit(views, y, usual, dates))
    samples = sorted(sample_key(*row) for row in zip(rows["station"], rows["date"], strict=True))
    meta = {
        "wavelength_nm": patches.wavelength.tolist(),
        "units": UNITS,
        "provenance": dict(provenance),
        "samples": samples,
        "times": np.unique(row_times(rows)).astype("datetime64[s]").astype(str).tolist(),
        "last_record_year": last_record_year,
    }
    return Forecaster(encoders, tuple(blends), record, settings, meta)


def load(name: str | Path) -> Forecaster:
    """A released model by its name, or one of a folder.

    Raises
    ------
    CheckpointError
        If there is no such model.
    """
    return Forecaster.load(model_folder(name))


def model_folder(name: str | Path) -> Path:
    """The folder of a model: that of a released one by its name, or the one given.

    Raises
    ------
    CheckpointError
        If there is no such folder and no model of that name.
    """
    if Path(name).is_dir():
        return Path(name)
    if str(name) in released_names():
        return _released() / str(name)
    known = ", ".join(released_names()) or "(none)"
    raise CheckpointError(
        f"wanted a folder of a model or one of the released models {known}; found {str(name)!r}. Check the "
        "spelling."
    )


def released_names() -> tuple[str, ...]:
    """Names of the models that ship with the package."""
    if not _released().is_dir():
        return ()
    return tuple(
        sorted(entry.name for entry in _released().iterdir() if (entry / "checkpoint.json").is_file())
    )


def sample_key(station: str, date: str) -> str:
    """What a laboratory sample is told by: times of day are written differently by different files."""
    return f"{station}, {date}"


def _released() -> Path:
    return Path(__file__).parents[1] / "released"


def _check(meta: Mapping[str, Any], patches: Patches) -> None:
    """Refuse other bands."""
    check_bands(Checkpoint(Path("model"), "forecaster", {}, dict(meta)), patches.wavelength)


def _plain(statistics: BandStatistics) -> dict[str, Any]:
    return {
        "centre": statistics.centre.tolist(),
        "scale": statistics.scale.tolist(),
        "log_brightness": list(statistics.log_brightness),
    }


def _described(blend: Blend) -> dict[str, Any]:
    return {
        "views": list(blend.views),
        "seasonal": blend.seasonal,
        "limit": blend.limit,
        "spread": blend.spread_,
        "members": [
            {
                "view": member.view,
                "departs": member.departs,
                "intercept": member.ridge_.intercept_,
                "penalty": member.ridge_.penalty_ if np.isfinite(member.ridge_.penalty_) else None,
            }
            for member in blend.members_
        ],
    }


def _arrays(member: Member) -> dict[str, FloatArray]:
    arrays = {name: getattr(member, name) for name in _ARRAYS}
    arrays |= {name: getattr(member.ridge_.scaler_, name) for name in _RIDGE_ARRAYS}
    return arrays | {"coefficients_": member.ridge_.coefficients_}


def _under(weights: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _blend(described: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Blend:
    """The blend that `_described` and `_arrays` took apart."""
    blend = Blend(tuple(described["views"]), seasonal=described["seasonal"], limit=described["limit"])
    blend.spread_, blend.members_ = described["spread"], []
    for place, known in enumerate(described["members"]):
        arrays = {name: value.numpy() for name, value in _under(weights, f"{place}.").items()}
        member = Member(known["view"], known["departs"])
        member.low_, member.typical_, member.high_ = (arrays[name] for name in _ARRAYS)
        scaler = Standardiser()
        scaler.mean_, scaler.scale_ = (arrays[name] for name in _RIDGE_ARRAYS)
        ridge = GroupedRidge()
        ridge.scaler_, ridge.coefficients_ = scaler, arrays["coefficients_"]
        ridge.intercept_ = known["intercept"]
        ridge.penalty_ = np.inf if known["penalty"] is None else known["penalty"]
        member.ridge_ = ridge
        blend.members_.append(member)
    return blend
