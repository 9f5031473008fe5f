"""A model of a quantity of one's own, from spectra alone: no calendar, no lake, no days ahead.

The same blend of ridge regressions as in `spectm.training.forecaster`, on embedding, reflectance and
indices, with its target, calibration and what it learned from travelling in one folder.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectm.data.context import log10_censored
from spectm.data.patches import Patches
from spectm.data.spectra_file import Spectra, Target
from spectm.data.splits import group_folds
from spectm.errors import CalibrationError, CheckpointError, TrainingError
from spectm.model.encoder import SpectralEncoder
from spectm.model.spectm import SpecTM
from spectm.training.blend import Blend, views_of_encoders
from spectm.training.checkpoint import UNITS, Checkpoint, check_bands, write_checkpoint
from spectm.training.forecaster import seen_by
from spectm.training.packing import packed, unpacked
from spectm.training.settings import Settings
from spectm.trust.applicability import Applicability, Flags
from spectm.trust.calibration import FEWEST_DATES, Calibration
from spectm.trust.estimate import Estimate

__all__ = [
    "KIND",
    "SpectralModel",
    "calibrated_on",
    "save_spectral_model",
    "spectral_model_of",
    "train_spectral_model",
]

FloatArray = npt.NDArray[np.floating[Any]]
Views = Mapping[str, FloatArray]

KIND = "spectral"
FEWEST_GROUPS = 5  # what says whether a spectrum is familiar wants as many
N_FOLDS = 10  # of whole groups, to calibrate on; each group by itself where there are fewer


@dataclass(frozen=True, slots=True, eq=False)
class SpectralModel:
    """Pretrained models, a blend on each, and what is known of its errors.

    Parameters
    ----------
    models : tuple of SpecTM
        One of each pretraining; none for a blend of reflectance and indices alone.
    blends : tuple of Blend
        As many as models, or one.
    target : Target
        What is estimated.
    settings : Settings
        Of the models.
    meta : dict
        ``wavelength_nm``, ``units``, ``shortest_nm``, ``samples`` (names learned from) and ``fingerprints``,
        ``mean_log10`` of these, and ``provenance``.
    applicability : Applicability
        What the spectra learned from are like.
    calibration : Calibration or None
        None before it was calibrated.
    """

    models: tuple[SpecTM, ...]
    blends: tuple[Blend, ...]
    target: Target
    settings: Settings
    meta: dict[str, Any]
    applicability: Applicability
    calibration: Calibration | None = None

    @property
    def encoders(self) -> tuple[SpectralEncoder, ...]:
        """Encoders of the models."""
        return tuple(model.encoder for model in self.models)

    def predict(self, patches: Patches) -> tuple[Estimate, Flags]:
        """Distribution of the target for each spectrum, and whether it looks familiar.

        Raises
        ------
        CheckpointError
            If the spectra have other bands, or the model was not calibrated.
        """
        if self.calibration is None:
            raise CheckpointError(
                "wanted a calibrated model, found one without. Train it with spectm finetune."
            )
        check_bands(self.meta, patches.wavelength, where=patches.source)
        views = _views(patches, self.models, self.settings, self.meta["shortest_nm"])
        nothing = np.zeros(patches.n_samples)
        found = [blend.predict(own, nothing) for own, blend in zip(views, self.blends, strict=True)]
        mean = np.mean(found, axis=0)
        estimate = Estimate(
            mean=mean,
            spread=np.where(np.isfinite(mean), self.spread, np.nan),
            calibration=self.calibration,
            least=self.target.detection_limit,
        )
        return estimate, self.applicability.flag(**_seen(patches, self.models, views))

    @property
    def spread(self) -> float:
        """Standard deviation of what a spectrum says, log10."""
        return float(np.sqrt(np.mean([blend.spread_**2 for blend in self.blends])))


def train_spectral_model(
    pretrained: Sequence[SpecTM], settings: Settings, spectra: Spectra, provenance: Mapping[str, Any]
) -> SpectralModel:
    """Learn a blend on each pretrained model from the spectra whose target is known, and calibrate it.

    Parameters
    ----------
    pretrained : sequence of SpecTM
        One for each seed; none for a blend of reflectance and indices alone.
    settings : Settings
        They were pretrained with; ``settings.indices`` are those read.
    spectra : Spectra
        All of them say what looks familiar; those with a target are learned from.
    provenance : mapping
        Plain JSON values.

    Raises
    ------
    TrainingError
        If fewer than five groups have a target.
    """
    rows, target = spectra.labelled, spectra.target
    group = spectra.group[rows]
    n_groups = np.unique(group).size
    if n_groups < FEWEST_GROUPS:
        raise TrainingError(
            f"wanted spectra with {target.name} of {FEWEST_GROUPS} groups or more, found {rows.size} of "
            f"{n_groups}: intervals are learned from groups held back in turn. Give more, or a finer column "
            "as spectra.group."
        )
    models = tuple(model.eval() for model in pretrained)
    shortest = float(spectra.patches.wavelength[0])
    views = _views(spectra.patches, models, settings, shortest)
    limit = target.detection_limit
    y = log10_censored(spectra.value[rows], limit=limit)
    blends = tuple(fitted_blend(own, rows, y, group, limit) for own in views)
    meta = {
        "wavelength_nm": spectra.patches.wavelength.tolist(),
        "units": UNITS,
        "shortest_nm": shortest,
        "samples": sorted(spectra.sample[rows].tolist()),
        "fingerprints": sorted(fingerprints(spectra.patches.select(rows))),
        "mean_log10": float(y.mean()),
        "provenance": dict(provenance),
    }
    applicability = Applicability.fit(
        wavelength=spectra.patches.wavelength,
        dates=spectra.group,
        **_seen(spectra.patches, models, views),
        water=False,
    )
    model = SpectralModel(models, blends, target, settings, meta, applicability)
    return replace(model, calibration=calibrated_on(views, rows, y, spectra.below[rows], group, limit))


def fingerprints(patches: Patches) -> list[str]:
    """What tells each spectrum from others, whatever it is called."""
    return [hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in np.ascontiguousarray(patches.Rrs)]


def fitted_blend(
    views: Views, rows: npt.NDArray[np.int64], y: FloatArray, group: npt.NDArray[np.str_], limit: float
) -> Blend:
    """A blend without a calendar, learned from some rows of the views; `y` and `group` are of these rows."""
    chosen = {name: columns[rows] for name, columns in views.items()}
    return Blend(tuple(chosen), seasonal=False, limit=limit).fit(chosen, y, np.zeros(y.size), group)


def calibrated_on(
    views: Sequence[Views],
    rows: npt.NDArray[np.int64],
    y: FloatArray,
    below: npt.NDArray[np.bool_],
    group: npt.NDArray[np.str_],
    limit: float,
) -> Calibration:
    """Calibration of blends, each group predicted by blends that have not seen it.

    Parameters
    ----------
    views : sequence of mapping
        Of all spectra, on each encoder.
    rows : ndarray of int, shape (n,)
        Those with a target; `y` (log10), `below` and `group` are of these.
    limit : float
        Detection limit, in the target's unit.

    Raises
    ------
    CalibrationError
        If there are fewer than three groups.
    """
    n_groups = np.unique(group).size
    if n_groups < FEWEST_DATES:
        raise CalibrationError(
            f"calibration: wanted {FEWEST_DATES} groups or more, found {n_groups}. Give more groups."
        )
    mean, spread = np.empty(y.size), np.empty(y.size)
    for train, test in group_folds(group, min(N_FOLDS, n_groups)):
        blends = [fitted_blend(own, rows[train], y[train], group[train], limit) for own in views]
        nothing = np.zeros(test.size)
        asked = [{name: columns[rows[test]] for name, columns in own.items()} for own in views]
        found = [blend.predict(own, nothing) for own, blend in zip(asked, blends, strict=True)]
        mean[test] = np.mean(found, axis=0)
        spread[test] = np.sqrt(np.mean([blend.spread_**2 for blend in blends]))
    return Calibration.fit(y - mean, spread, below, group)


def save_spectral_model(model: SpectralModel, folder: Path) -> None:
    """Write or replace a folder that `spectral_model_of` reads."""
    weights, described = packed(model.models, model.blends, model.settings)
    assert model.calibration is not None
    meta = {
        **model.meta,
        **described,
        "target": asdict(model.target),
        "applicability": model.applicability.to_dict(),
        "calibration": model.calibration.to_dict(),
    }
    write_checkpoint(folder, kind=KIND, weights=weights, meta=meta)


def spectral_model_of(checkpoint: Checkpoint) -> SpectralModel:
    """The model that a checkpoint holds."""
    models, blends, settings = unpacked(checkpoint)
    meta = checkpoint.meta
    said = dict(meta["target"])
    target = Target(**{**said, "thresholds": tuple(said["thresholds"])})
    return SpectralModel(
        models,
        blends,
        target,
        settings,
        meta,
        Applicability.from_dict(meta["applicability"]),
        Calibration.from_dict(meta["calibration"]),
    )


def _views(
    patches: Patches, models: Sequence[SpecTM], settings: Settings, shortest: float
) -> list[dict[str, FloatArray]]:
    """What the blend on each model reads: every band, as nobody's atmosphere is between."""
    encoders: list[SpectralEncoder | None] = [model.encoder for model in models]
    indices = settings.indices.chosen()
    return views_of_encoders(patches, encoders or [None], indices=indices, shortest_nm=shortest)


def _seen(patches: Patches, models: Sequence[SpecTM], views: Sequence[Views]) -> dict[str, Any]:
    """What is judged as familiar or not: the look of a spectrum, and no day or place."""
    seen = seen_by(patches, models, views)
    seen["day_of_year"] = np.zeros(patches.n_samples)
    del seen["places"]
    return seen
