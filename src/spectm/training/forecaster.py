"""A model that travels alone: encoders with a blend each, all it knows of the calendar, and how sure it is.

It needs no training file: climatology, memory, normalisation, calibration and what it learned from travel
with the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from spectm.data.context import DETECTION_LIMIT, day_of_year
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.data.splits import excluded_by, row_times
from spectm.errors import CheckpointError
from spectm.model.encoder import SpectralEncoder
from spectm.model.spectm import SpecTM
from spectm.training.blend import Blend, as_seen, views_of_encoders
from spectm.training.checkpoint import UNITS, check_bands
from spectm.training.forecast import forecast, local_days, places, usual_at
from spectm.training.settings import Settings
from spectm.trust.applicability import Applicability, Flags
from spectm.trust.calibration import Calibration
from spectm.trust.estimate import Estimate

__all__ = ["Forecaster", "Outlook", "Sight", "sample_key", "seen_by", "train_forecaster"]

FloatArray = npt.NDArray[np.floating[Any]]
Views = dict[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What a model says of patches.

    Parameters
    ----------
    lead_days : tuple of float
        From the overpass.
    estimates : tuple of Estimate
        One for each lead; NaN for patches without a valid pixel.
    flags : Flags
        Whether each spectrum is like those learned from; the same for every lead.
    """

    lead_days: tuple[float, ...]
    estimates: tuple[Estimate, ...]
    flags: Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What patches say, each by itself.

    Parameters
    ----------
    log10 : ndarray, shape (n,)
        Estimate, log10 of ug/L; NaN for patches without a valid pixel.
    flags : Flags
        Whether each spectrum is like those learned from.
    """

    log10: FloatArray
    flags: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """Pretrained models, a blend on each, the laboratory's earlier years, and what is known of its errors.

    Parameters
    ----------
    models : tuple of SpecTM
        One of each pretraining; none for blends of reflectance and indices alone.
    blends : tuple of Blend
        As many as models, or one.
    record : Record
        Climatology and memory.
    settings : Settings
        Of the models.
    meta : dict
        ``wavelength_nm``, ``units``, ``provenance`` and ``samples``: the laboratory samples learned from, as
        "station, local date"; ``times``: UTC of these samples and of their overpasses.
    applicability : Applicability
        What the spectra learned from are like.
    calibration : mapping of str to Calibration
        By task, "current" and "ahead"; empty before it was calibrated.
    """

    models: tuple[SpecTM, ...]
    blends: tuple[Blend, ...]
    record: Record
    settings: Settings
    meta: dict[str, Any]
    applicability: Applicability
    calibration: Mapping[str, Calibration]

    @property
    def encoders(self) -> tuple[SpectralEncoder, ...]:
        """Encoders of the models."""
        return tuple(model.encoder for model in self.models)

    def estimate(self, patches: Patches) -> tuple[FloatArray, float]:
        """Estimate of each patch by itself, log10, shape (sample,), and its standard deviation.

        Raises
        ------
        CheckpointError
            If the patches have other bands.
        """
        return self._estimate(patches, self._views(patches))

    def predict(self, patches: Patches, targets: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 of the quantity, shape (n,) each; see `forecast`."""
        return forecast(patches, *self.estimate(patches), self.record, targets)

    def outlook(self, patches: Patches, lead_days: Sequence[float]) -> Outlook:
        """Distributions for the place of each patch, for each lead in days, and whether it looks familiar.

        Earlier patches count where they have the same station, or the same position to 0.0001 degrees.

        Raises
        ------
        CheckpointError
            If the patches have other bands, or the model was not calibrated.
        """
        sight = self.look(patches)
        estimates = self.expected(patches, sight.log10, lead_days)
        return Outlook(lead_days=tuple(lead_days), estimates=estimates, flags=sight.flags)

    def look(self, patches: Patches) -> Sight:
        """What each patch says by itself, and whether it looks familiar: the part that takes time.

        Raises
        ------
        CheckpointError
            If the patches have other bands.
        """
        views = self._views(patches)
        log10, _ = self._estimate(patches, views)
        return Sight(log10=log10, flags=self.applicability.flag(**seen_by(patches, self.models, views)))

    def expected(
        self, patches: Patches, log10: FloatArray, lead_days: Sequence[float]
    ) -> tuple[Estimate, ...]:
        """Distributions for the place of each patch, for each lead in days, from what each says by itself.

        Parameters
        ----------
        patches : Patches
            When and where; their reflectance is not looked at.
        log10 : ndarray, shape (sample,)
            Of `look`; NaN where nothing is seen.
        lead_days : sequence of float
            From the overpass.

        Raises
        ------
        CheckpointError
            If the model was not calibrated.
        """
        estimates, seen, place = [], np.isfinite(log10), places(patches)
        for lead in lead_days:
            later = patches.time + np.timedelta64(round(lead * 86400), "s")
            targets = pd.DataFrame({"station": patches.station, "place": place, "date": local_days(later)})
            targets["overpass_time"], targets["lead_days"] = patches.time, lead
            mean, spread = forecast(patches, log10, self._spread, self.record, targets)
            estimates.append(
                Estimate(
                    # where nothing is seen now, older overpasses do not speak for it
                    mean=np.where(seen, mean, np.nan),
                    spread=np.where(seen, spread, np.nan),
                    calibration=self.calibrated_for("ahead" if lead > 0 else "current"),
                    least=DETECTION_LIMIT,
                )
            )
        return tuple(estimates)

    def knows(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether laboratory samples were learned from, shape (n,): by ``station`` and ``date`` of the rows.

        Samples of the years that climatology and memory are of are known, too.
        """
        known, last_year = set(self.meta["samples"]), self.record.last_year
        of_rows = [sample_key(*row) in known for row in zip(rows["station"], rows["date"], strict=True)]
        earlier = rows["date"].str[:4].astype(int).to_numpy() <= last_year
        return np.logical_or(np.array(of_rows, dtype=np.bool_), earlier)

    def is_near(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether ``sample_time`` or ``overpass_time`` lies within 60 hours of what was learned from."""
        learned = np.array(self.meta["times"], dtype="datetime64[ns]")
        near: npt.NDArray[np.bool_] = excluded_by(row_times(rows), learned).reshape(2, -1)
        return near[0] | near[1]

    def _views(self, patches: Patches) -> list[Views]:
        """What the blend on each model reads."""
        check_bands(self.meta, patches.wavelength, where=patches.source)
        indices = self.settings.indices.chosen()
        return views_of_encoders(patches, self.encoders or (None,), indices=indices)

    def _estimate(self, patches: Patches, views: Sequence[Views]) -> tuple[FloatArray, float]:
        usual = usual_at(self.record.climatology, patches.time, patches.station)
        found = [blend.predict(of_model, usual) for of_model, blend in zip(views, self.blends, strict=True)]
        return np.mean(found, axis=0), self._spread

    @property
    def _spread(self) -> float:
        """Standard deviation of what a patch says by itself, log10."""
        return float(np.sqrt(np.mean([blend.spread_**2 for blend in self.blends])))

    def calibrated_for(self, task: str) -> Calibration:
        """Calibration of a task, "current" or "ahead".

        Raises
        ------
        CheckpointError
            If the model has none.
        """
        try:
            return self.calibration[task]
        except KeyError:
            raise CheckpointError(
                "wanted a model with calibrated intervals, found one without: train it with spectm finetune, "
                "which calibrates it on dates held back in turn."
            ) from None


def train_forecaster(
    pretrained: Sequence[SpecTM],
    settings: Settings,
    patches: Patches,
    rows: pd.DataFrame,
    y: FloatArray,
    record: Record,
    provenance: Mapping[str, Any],
) -> Forecaster:
    """Learn a blend on each pretrained model from the rows of the task "current".

    Parameters
    ----------
    pretrained : sequence of SpecTM
        One for each seed; none for blends of reflectance and indices alone.
    settings : Settings
        They were pretrained with.
    patches : Patches
        That the rows point into; all of them say what looks familiar.
    rows : DataFrame
        Columns ``patch``, ``station``, ``date``, ``sample_time`` and ``overpass_time``.
    y : ndarray, shape (n,)
        Target, log10; the limit where below detection.
    record : Record
        Climatology and memory.
    provenance : mapping
        Plain JSON values: files, dates, licence.

    Returns
    -------
    Forecaster
        Without calibration: `spectm.evaluation.calibrated` adds it.
    """
    usual = record.climatology.predict(day_of_year(rows["date"]), rows["station"])
    dates, patch = rows["date"].to_numpy(dtype=np.str_), rows["patch"].to_numpy()
    models = tuple(model.eval() for model in pretrained)
    encoders: list[SpectralEncoder | None] = [model.encoder for model in models]
    views = views_of_encoders(patches, encoders or [None], indices=settings.indices.chosen())
    blends = []
    for of_model in views:
        chosen = {name: columns[patch] for name, columns in of_model.items()}
        blends.append(Blend(tuple(chosen), seasonal=True).fit(chosen, y, usual, dates))
    samples = sorted(sample_key(*row) for row in zip(rows["station"], rows["date"], strict=True))
    meta = {
        "wavelength_nm": patches.wavelength.tolist(),
        "units": UNITS,
        "provenance": dict(provenance),
        "samples": samples,
        "times": np.unique(row_times(rows)).astype("datetime64[s]").astype(str).tolist(),
    }
    applicability = Applicability.fit(
        wavelength=patches.wavelength, dates=local_days(patches.time), **seen_by(patches, models, views)
    )
    return Forecaster(models, tuple(blends), record, settings, meta, applicability, {})


def seen_by(
    patches: Patches, models: Sequence[SpecTM], views: Sequence[Mapping[str, FloatArray]]
) -> dict[str, Any]:
    """What an `Applicability` is fitted to, and asked about: arguments of `fit` and `flag` by name.

    Parameters
    ----------
    patches : Patches
    models : sequence of SpecTM
        None leaves embedding and reconstruction out; the first speaks for an ensemble, with its summary
        vector and its error where windows are hidden.
    views : sequence of mapping
        `spectral_views` on the encoder of each model.
    """
    days = day_of_year(pd.Series(local_days(patches.time)))
    seen: dict[str, Any] = {"spectra": patches.mean_spectrum(), "day_of_year": days}
    seen["places"] = np.column_stack([patches.latitude, patches.longitude])
    if models:
        width = models[0].encoder.config.width
        seen["embedding"] = views[0]["embedding"][:, :width]
        if "reconstruction" in models[0].objective.weights:
            seen["reconstruction"] = _hidden_error(models[0], patches)
    return seen


@torch.no_grad()
def _hidden_error(model: SpecTM, patches: Patches) -> FloatArray:
    """How far the hidden windows lie from what the visible bands lead to expect, shape (sample,).

    Root mean square over the bands of the windows, in robust standard scores of the training spectra; NaN for
    patches without a valid pixel.
    """
    found = np.full(patches.n_samples, np.nan)
    valid = np.flatnonzero(patches.valid.any(axis=(1, 2)))
    Rrs = torch.from_numpy(np.ascontiguousarray(as_seen(patches.Rrs[valid], [model.encoder])))
    hidden = torch.from_numpy(model.encoder.layout.targeted).expand(len(valid), -1)
    encoded = model.encoder(Rrs, hidden)
    mean = torch.from_numpy(patches.mean_spectrum()[valid].astype(np.float32))
    error = model.reconstruction(encoded) - model.encoder.standardise(mean, encoded.brightness)
    bands = model.encoder.layout.window >= 0
    found[valid] = error[:, bands].square().mean(dim=1).sqrt().double().numpy()
    return found


def sample_key(station: str, date: str) -> str:
    """What a laboratory sample is told by: times of day are written differently by different files."""
    return f"{station}, {date}"
