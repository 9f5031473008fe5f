"""Self-supervised pretraining, assembled: patches in, a trained SpecTM out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spectm.config import from_mapping
from spectm.data.origin import SIMULATED
from spectm.data.patches import Patches, partners
from spectm.errors import BandNotFoundError, TrainingError
from spectm.model.encoder import BandStatistics, SpectralEncoder
from spectm.model.masking import TokenLayout, draw_mask, token_layout
from spectm.model.preprocess import PreprocessConfig, brightness, pixel_mean
from spectm.model.spectm import LossTerm, SpecTM
from spectm.spectral.indices import INDICES, Index, supported_indices
from spectm.training.checkpoint import UNITS, Checkpoint, read_checkpoint, train_in_folder
from spectm.training.loop import Batch, TrainingState
from spectm.training.settings import Settings

__all__ = [
    "Pretraining",
    "PretrainingData",
    "band_statistics",
    "index_targets",
    "layout_for",
    "load_pretrained",
    "model_meta",
    "model_parts",
    "pretrain",
    "pretraining_data",
    "seeded_model",
    "untrained",
    "validation_rows",
]

# Standardised indices are cut here: a ratio over a dark denominator would otherwise be all the loss there is.
MAX_INDEX_SCORE = 5.0
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class PretrainingData:
    """Spectra and self-supervised targets as tensors, one row per patch that holds anything.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    Rrs : Tensor, shape (sample, n_bands, y, x)
        Raw reflectance, sr^-1; single pixels are padded with missing ones.
    spectrum : ndarray, shape (sample, n_bands)
        Mean spectrum, for indices.
    ahead : Tensor, shape (sample, n_bands)
        Mean spectrum of the same place about 8 days later; NaN where there is none.
    day_of_year, lead_days : Tensor, shape (sample,)
        Of the patch; to `ahead`.
    day, ahead_day : ndarray of datetime64[D], shape (sample,)
        UTC date of the patch: the group that validation is split by; and of `ahead`, NaT where there is none.
    """

    wavelength: npt.NDArray[np.float64]
    Rrs: Tensor
    spectrum: npt.NDArray[np.float64]
    ahead: Tensor
    day_of_year: Tensor
    lead_days: Tensor
    day: npt.NDArray[np.datetime64]
    ahead_day: npt.NDArray[np.datetime64]

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.Rrs.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Pretraining:
    """A trained model and how it got there."""

    model: SpecTM
    state: TrainingState
    index_names: tuple[str, ...]
    n_training: int
    n_validation: int


def pretraining_data(sources: Sequence[Patches]) -> PretrainingData:
    """Join patches of the same bands into one set of training rows.

    Parameters
    ----------
    sources : sequence of Patches
        Station patches, single pixels; whatever must not be seen has been left out by the caller, so that no
        partner spectrum comes from there either.

    Raises
    ------
    TrainingError
        If there is no valid pixel at all, or the band lists differ.
    """
    for source in sources[1:]:
        if not np.array_equal(source.wavelength, sources[0].wavelength):
            raise TrainingError(
                f"pretraining wants one band list; {sources[0].source} has {sources[0].n_bands} bands from "
                f"{sources[0].wavelength[0]:g} nm, {source.source} has {source.n_bands} from "
                f"{source.wavelength[0]:g} nm. "
                "Resample one of them first (spectm.spectral.sensors.resample)"
            )
    parts = [_rows_of(source) for source in sources]
    size = max((max(part["Rrs"].shape[2:]) for part in parts), default=1)
    joined = {
        name: _joined([_padded(part[name], size) for part in parts]) for name in (parts[0] if parts else ())
    }
    if not joined or joined["Rrs"].shape[0] == 0:
        raise TrainingError(
            "pretraining wants patches with at least one valid pixel; found none. Is everything excluded?"
        )
    return PretrainingData(
        wavelength=sources[0].wavelength,
        Rrs=torch.from_numpy(joined["Rrs"]),
        spectrum=joined["spectrum"],
        ahead=torch.from_numpy(joined["ahead"]).float(),
        day_of_year=torch.from_numpy(joined["day_of_year"]).float(),
        lead_days=torch.from_numpy(joined["lead_days"]).float(),
        day=joined["day"],
        ahead_day=joined["ahead_day"],
    )


def _rows_of(patches: Patches) -> dict[str, npt.NDArray[Any]]:
    """Rows with a valid pixel, each with the spectrum of its partner."""
    spectrum = patches.mean_spectrum()
    partner = partners(patches)
    found = partner >= 0
    ahead = np.where(found[:, None], spectrum[partner], np.nan)
    lead = (patches.time[partner] - patches.time) / np.timedelta64(1, "D")
    day = patches.time.astype("datetime64[D]")
    rows = {
        "Rrs": patches.Rrs,
        "spectrum": spectrum,
        "ahead": ahead,
        "lead_days": np.where(found, lead, 0.0),
        "day_of_year": (day - day.astype("datetime64[Y]")).astype(np.float64) + 1,
        "day": day,
        "ahead_day": np.where(found, day[partner], np.datetime64("NaT", "D")),
    }
    valid = np.isfinite(spectrum).all(axis=1)
    return rows if valid.all() else {name: array[valid] for name, array in rows.items()}


def _padded(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Patches smaller than `size` pixels get missing ones on two sides; other arrays stay as they are."""
    if array.ndim != 4 or array.shape[2:] == (size, size):
        return array
    missing = [(0, 0), (0, 0), (0, size - array.shape[2]), (0, size - array.shape[3])]
    return np.pad(array, missing, constant_values=np.nan)


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Arrays one after the other; a single one, which may be mapped from a file, is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def layout_for(settings: Settings, wavelength: npt.NDArray[np.float64]) -> TokenLayout:
    """Tokens that the settings make of a band list."""
    return token_layout(
        wavelength,
        settings.windows.window_set(),
        guard_nm=settings.masking.guard_nm,
        bands_per_token=settings.masking.bands_per_token,
    )


def band_statistics(
    Rrs: Tensor, layout: TokenLayout, preprocess: PreprocessConfig, *, rows: Tensor | None = None
) -> BandStatistics:
    """Median and robust spread of each band over the given, and no other, spectra.

    Parameters
    ----------
    Rrs : Tensor, shape (sample, n_bands, y, x)
        Training spectra, sr^-1.
    layout : TokenLayout
        Says which bands make the brightness.
    preprocess : PreprocessConfig
        Says whether spectra are divided by it.
    rows : Tensor of int, optional
        The training spectra among those of `Rrs`; all of them without it.

    Raises
    ------
    TrainingError
        If a band has no value at all.
    """
    rows = torch.arange(Rrs.shape[0]) if rows is None else rows
    # In parts, as a file of patches may be larger than memory; the means of all pixels are a part of it.
    means, present = zip(*(pixel_mean(Rrs[part]) for part in torch.split(rows, ROWS_AT_ONCE)), strict=True)
    mean, there = torch.cat(means), torch.cat(present)
    log_brightness = (0.0, 1.0)
    if preprocess.shape:
        outside = torch.from_numpy((layout.window < 0) & ~layout.guard)
        divisor = brightness(mean, there & outside)
        mean = mean / divisor
        low, middle, high = np.quantile(divisor.log().numpy(), [0.25, 0.5, 0.75])
        log_brightness = (float(middle), float(max(0.741 * (high - low), 1e-3)))
    values = torch.where(there, mean, torch.nan).double().numpy()
    empty = np.flatnonzero(~there.numpy().any(axis=0))
    if empty.size:
        raise TrainingError(
            f"no training spectrum has a value at {layout.wavelength[empty[0]]:g} nm ({empty.size} such "
            f"bands); leave "
            "these bands out"
        )
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = np.maximum(0.741 * (high - low), 1e-6)  # a band that never varies is not blown up
    return BandStatistics(layout.wavelength, middle, scale, log_brightness)


def index_targets(
    spectrum: npt.NDArray[np.float64],
    wavelength: npt.NDArray[np.float64],
    training: npt.NDArray[np.bool_],
    indices: Mapping[str, Index] = INDICES,
) -> tuple[Tensor, tuple[str, ...]]:
    """Those of the indices that the bands support, robustly standardised on the training rows.

    Returns
    -------
    tuple
        Tensor (sample, n_indices), NaN where undefined, and the names.
    """
    missing = supported_indices(wavelength, indices)
    for name, reason in missing.items():
        if reason is not None and name not in INDICES:  # asked for by name, and not there by the way
            raise BandNotFoundError(f"indices: {name}: {reason}")
    names = [name for name, reason in missing.items() if reason is None]
    columns, kept = [], []
    for name in names:
        values = indices[name].function(spectrum, wavelength)
        known = values[training & np.isfinite(values)]
        if known.size == 0:
            continue
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        # An index that is zero for most spectra (CIcyano) has no interquartile range; its deviation serves
        # then.
        scale = 0.741 * (high - low) or known.std() or 1.0
        columns.append(np.clip((values - middle) / scale, -MAX_INDEX_SCORE, MAX_INDEX_SCORE))
        kept.append(name)
    stacked = np.stack(columns, axis=1) if columns else np.empty((len(spectrum), 0))
    return torch.from_numpy(stacked).float(), tuple(kept)


class _Learner:
    """What the loop asks of pretraining."""

    def __init__(
        self,
        data: PretrainingData,
        indices: Tensor,
        validation: npt.NDArray[np.bool_],
        model: SpecTM,
        settings: Settings,
        seed: int,
    ) -> None:
        self.data, self.indices, self.settings = data, indices, settings
        # A training patch may be followed by one of a validation date, which then is no target of it.
        unseen = ~validation & np.isin(data.ahead_day, data.day[validation])
        self.ahead = data.ahead.masked_fill(torch.from_numpy(unseen)[:, None], torch.nan)
        self.layout = model.encoder.layout
        self.rows = torch.from_numpy(np.flatnonzero(~validation))
        self.n_rows = self.rows.numel()
        self.validation_batch: Batch | None = None
        if validation.any():
            # The same masks at every look, so that losses can be compared.
            fixed = torch.Generator().manual_seed(seed)
            self.validation_batch = self._batch(torch.from_numpy(np.flatnonzero(validation)), fixed)

    def batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        return self._batch(self.rows[rows], generator)

    def _batch(self, rows: Tensor, generator: torch.Generator) -> Batch:
        mask = draw_mask(self.layout, self.settings.masking, rows.numel(), generator)
        data = self.data
        batch = {"Rrs": data.Rrs, "indices": self.indices, "ahead": self.ahead}
        batch |= {"day_of_year": data.day_of_year, "lead_days": data.lead_days}
        return {name: tensor[rows] for name, tensor in batch.items()} | {
            "hidden": mask.hidden,
            "scored": mask.scored,
        }

    def rate(self, parameter: str) -> float:
        return 1.0

    def loss(self, module: nn.Module, means: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        assert isinstance(module, SpecTM)
        return module.joint_loss(means, counts)

    def validation(self, module: nn.Module) -> float:
        """Mean losses with the weights of the settings; learned weights would change the ruler."""
        if self.validation_batch is None:
            return float("nan")
        device = next(module.parameters()).device
        terms: dict[str, LossTerm] = module(**{k: v.to(device) for k, v in self.validation_batch.items()})
        weights = self.settings.objective.weights
        return sum(weights[name] * float(term.total / term.n.clamp(min=1)) for name, term in terms.items())


def pretrain(
    fabric: Fabric,
    sources: Sequence[Patches],
    settings: Settings,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    provenance: Mapping[str, Any] | None = None,
    progress: str | None = None,
    compiled: bool = False,
) -> Pretraining:
    """Train a SpecTM on unlabelled patches.

    Parameters
    ----------
    fabric : Fabric
        Device, precision, processes.
    sources : sequence of Patches
        Everything that may be learned from.
    settings : Settings
        Windows, masking, preprocessing, encoder, objective and loop.
    seed : int
        Of weights, batches, masks and the validation split.
    folder : Path, optional
        Checkpoint and ``metrics.jsonl`` go there.
    resume : bool
        Continue from the training state in `folder`.
    provenance : mapping, optional
        Kept in the checkpoint: files, dates, what was left out.
    progress : str, optional
        Label of the progress bar.
    compiled : bool
        Compile the model first.

    Raises
    ------
    TrainingError, CheckpointError, MaskError
        On unusable data, checkpoint or mask.
    """
    data = pretraining_data(sources)
    validation = validation_rows(data.day, settings.pretraining.validation_share, seed)
    layout = layout_for(settings, data.wavelength)
    training = torch.from_numpy(np.flatnonzero(~validation))
    statistics = band_statistics(data.Rrs, layout, settings.preprocess, rows=training)
    indices, names = index_targets(data.spectrum, data.wavelength, ~validation, settings.indices.chosen())
    if not names and "indices" in settings.objective.weights:
        raise TrainingError(
            f"no bio-optical index can be computed from {layout.n_bands} bands between "
            f"{layout.wavelength[0]:g} and {layout.wavelength[-1]:g} nm; switch the task off with "
            "objective.indices = 0"
        )
    model = seeded_model(settings, layout, statistics, len(names), seed)
    learner = _Learner(data, indices, validation, model, settings, seed)
    meta = model_meta(settings, statistics) | {"index_names": list(names), "seed": seed}
    meta["provenance"] = dict(provenance or {}) | {
        SIMULATED: any(source.simulated for source in sources),
        "n_training": learner.n_rows,
        "n_validation": int(validation.sum()),
    }

    state = train_in_folder(
        fabric,
        model,
        learner,
        settings.pretraining.loop,
        seed=seed,
        kind="pretrained",
        meta=meta,
        folder=folder,
        resume=resume,
        progress=progress,
        compiled=compiled,
    )
    return Pretraining(model, state, names, learner.n_rows, int(validation.sum()))


def validation_rows(day: npt.NDArray[Any], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """True for rows of the dates kept for validation: about `share` of the dates, but never all."""
    days = np.unique(day)
    n_validation = min(max(1, round(share * days.size)), days.size - 1) if share > 0 else 0
    chosen = np.random.default_rng(seed).permutation(days)[:n_validation]
    return np.isin(day, chosen)


def seeded_model(
    settings: Settings, layout: TokenLayout, statistics: BandStatistics, n_indices: int, seed: int
) -> SpecTM:
    """A model whose first weights follow from `seed` alone, leaving torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SpectralEncoder(settings.encoder, settings.preprocess, layout, statistics)
        return SpecTM(encoder, settings.objective, n_indices)


def model_meta(settings: Settings, statistics: BandStatistics) -> dict[str, Any]:
    """What a checkpoint records to build the same model again."""
    return {
        "wavelength_nm": statistics.wavelength.tolist(),
        "units": UNITS,
        "normalisation": {
            "centre": statistics.centre.tolist(),
            "scale": statistics.scale.tolist(),
            "log_brightness": list(statistics.log_brightness),
        },
        "settings": asdict(settings),
    }


def untrained(data: PretrainingData, settings: Settings, *, seed: int) -> SpecTM:
    """The model that `pretrain` would start from: random weights, normalisation of the data."""
    layout = layout_for(settings, data.wavelength)
    statistics = band_statistics(data.Rrs, layout, settings.preprocess)
    _, names = index_targets(
        data.spectrum, data.wavelength, np.ones(data.n_samples, dtype=bool), settings.indices.chosen()
    )
    return seeded_model(settings, layout, statistics, len(names), seed)


def load_pretrained(folder: Path) -> SpecTM:
    """The model of a folder that `pretrain` wrote.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    checkpoint = read_checkpoint(folder, kind="pretrained")
    settings, layout, statistics = model_parts(checkpoint)
    model = seeded_model(settings, layout, statistics, len(checkpoint.meta["index_names"]), seed=0)
    model.load_state_dict(checkpoint.weights)
    return model.eval()


def model_parts(checkpoint: Checkpoint) -> tuple[Settings, TokenLayout, BandStatistics]:
    """Settings, tokens and normalisation that a checkpoint records."""
    meta = checkpoint.meta
    settings = from_mapping(Settings, meta["settings"], where=str(checkpoint.folder / "checkpoint.json"))
    wavelength = np.array(meta["wavelength_nm"])
    known = meta["normalisation"]
    centre, scale = np.array(known["centre"]), np.array(known["scale"])
    statistics = BandStatistics(wavelength, centre, scale, tuple(known["log_brightness"]))
    return settings, layout_for(settings, wavelength), statistics
