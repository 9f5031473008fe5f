"""SpecTM behind the interface of the baselines: fine-tuned, as a frozen probe, and with one thing changed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from lightning_fabric import Fabric

from spectm.data.context import Context
from spectm.data.memory import Record
from spectm.data.patches import Patches
from spectm.evaluation.baselines import out_of_fold_spread
from spectm.evaluation.blends import BlendEstimator
from spectm.evaluation.learners import SHORTEST_NM, Inputs, Ridge
from spectm.evaluation.task import Task
from spectm.model.regressor import Regressor
from spectm.model.spectm import SpecTM
from spectm.spectral.indices import INDICES, Index
from spectm.training.blend import spectral_views
from spectm.training.finetune import FittedRegressor, RegressionData, embedding, finetune
from spectm.training.settings import Settings

__all__ = ["ABLATIONS", "VARIANTS", "FineTuned", "Probe", "Variant", "frozen_views", "make_variant"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Variant:
    """One model of the SpecTM family.

    Parameters
    ----------
    head : {"finetune", "probe", "probe-hidden", "blend"}
        Train all weights; or a ridge regression on the frozen embedding, with the windows visible or hidden;
        or a blend of ridge regressions on embedding, reflectance and indices.
    change : callable
        What is different in the settings of its pretraining.
    pretrained : bool
        False starts from the random first weights, with the same normalisation.
    learns_from : tuple of {"study", "simulated"}
        Spectra of pretraining and normalisation: those of the study that a fold may see, and those of a
        simulated lake beside it.
    """

    head: Literal["finetune", "probe", "probe-hidden", "blend"] = "finetune"
    change: Callable[[Settings], Settings] = field(default=lambda settings: settings)
    pretrained: bool = True
    learns_from: tuple[Literal["study", "simulated"], ...] = ("study",)


def _without(task: str) -> Callable[[Settings], Settings]:
    """Settings in which one pretraining task is switched off."""
    off: dict[str, Any] = {task: 0.0}
    return lambda settings: replace(settings, objective=replace(settings.objective, **off))


def _random_mask(settings: Settings) -> Settings:
    return replace(settings, masking=replace(settings.masking, strategy="random"))


VARIANTS: dict[str, Variant] = {
    "spectm": Variant(),
    "spectm-probe": Variant(head="probe"),
    "spectm-blend": Variant(head="blend"),
    "spectm-probe-hidden": Variant(head="probe-hidden"),
    "spectm-random-init": Variant(pretrained=False),
    "spectm-random-mask": Variant(change=_random_mask),
    "spectm-no-reconstruction": Variant(change=_without("reconstruction")),
    "spectm-no-indices": Variant(change=_without("indices")),
    "spectm-no-temporal": Variant(change=_without("temporal")),
}
"""Every model of the family, by the name that tables give it."""

ABLATIONS = tuple(name for name in VARIANTS if name not in ("spectm", "spectm-probe", "spectm-blend"))
"""Those that exist to be compared with ``spectm``; they run without context, leave-date-out."""

BLENDED = ("embedding", "bands", "indices")


@dataclass(slots=True)
class FineTuned:
    """A regressor trained from a pretrained model, all weights.

    With context the climatology is the prior mean; without it, the mean of the training labels.
    """

    fabric: Fabric
    pretrained: SpecTM
    patches: Patches
    context: Context
    settings: Settings
    seed: int
    fitted_: FittedRegressor = field(init=False)

    def fit(self, task: Task, train: IntArray) -> Self:
        """Learn from the rows `train`."""
        self.fitted_ = finetune(
            self.fabric,
            self.pretrained,
            self._data(task, train),
            task.y[train],
            task.below[train],
            task.dates[train],
            self.settings,
            seed=self.seed,
        )
        return self

    def predict(self, task: Task, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 ug/L, each of shape (n_rows,)."""
        return self.fitted_.predict(self._data(task, rows))

    def _data(self, task: Task, rows: IntArray) -> RegressionData:
        return RegressionData(
            Rrs=self.patches.Rrs[task.rows["patch"].to_numpy()[rows]],
            context=task.context(self.context)[rows],
            prior=None if self.context == "none" else task.climatology[rows],
        )


@dataclass(slots=True)
class Probe:
    """Ridge regression on the frozen embedding, its penalty chosen in folds grouped by date.

    With context it learns the departure from the climatology, as the baselines do.

    Parameters
    ----------
    embedded : ndarray, shape (n_patches, n_columns)
        Of all patches; NaN where nothing was seen.
    context : {"none", "season", "season+lab"}
        What it sees beside that.
    """

    embedded: FloatArray
    context: Context
    ridge_: Ridge = field(init=False)
    spread_: float = field(init=False)

    def fit(self, task: Task, train: IntArray) -> Self:
        """Learn from the rows `train`."""
        inputs, dates = self._inputs(task, train), task.dates[train]
        left = task.y[train] - self._prior(task, train)
        self.ridge_ = Ridge().fit(inputs, left, dates)
        self.spread_ = out_of_fold_spread(Ridge, inputs, left, dates)
        return self

    def predict(self, task: Task, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of log10 ug/L, each of shape (n_rows,)."""
        mean = self._prior(task, rows) + self.ridge_.predict(self._inputs(task, rows))
        return mean, np.full(mean.shape, self.spread_)

    def _prior(self, task: Task, rows: IntArray) -> FloatArray:
        return np.zeros(rows.size) if self.context == "none" else task.climatology[rows]

    def _inputs(self, task: Task, rows: IntArray) -> Inputs:
        """The baselines' inputs, with the embedding where they have the spectrum."""
        embedded = self.embedded[task.rows["patch"].to_numpy()[rows]]
        wavelength = np.full(embedded.shape[1], SHORTEST_NM)  # so that no column is left out
        return replace(Inputs.of(task, self.context)[rows], Rrs=embedded, wavelength=wavelength)


def frozen_views(
    names: Iterable[str],
    pretrained: SpecTM,
    patches: Patches,
    *,
    indices: Mapping[str, Index] = INDICES,
) -> dict[str, FloatArray]:
    """What some models of the family read of all patches, where they do not change the encoder.

    Returns
    -------
    dict of ndarray, shape (n_patches, n_columns)
        Of `spectral_views`, and "hidden", the embedding with the windows hidden; empty for models that are
        fine-tuned.
    """
    heads = {VARIANTS[name].head for name in names}
    views = spectral_views(patches, pretrained.encoder, indices=indices) if heads & {"probe", "blend"} else {}
    if "probe-hidden" in heads:
        valid = patches.valid.any(axis=(1, 2))
        found = embedding(Regressor(pretrained.encoder), patches.Rrs[valid], hide_windows=True)
        views["hidden"] = np.full((patches.n_samples, found.shape[1]), np.nan)
        views["hidden"][valid] = found
    return views


def make_variant(
    name: str,
    fabric: Fabric,
    pretrained: SpecTM,
    patches: Patches,
    context: Context,
    settings: Settings,
    seed: int,
    record: Record | None = None,
    views: Mapping[str, FloatArray] | None = None,
) -> FineTuned | Probe | BlendEstimator:
    """A model of the family on a pretrained (or, for ``spectm-random-init``, a fresh) SpecTM.

    A blend wants `record`, the laboratory's earlier years; `views`, as of `frozen_views`, spares it and the
    probes the embedding of all patches.
    """
    head = VARIANTS[name].head
    if head == "finetune":
        return FineTuned(fabric, pretrained, patches, context, settings, seed)
    if views is None:
        views = frozen_views([name], pretrained, patches, indices=settings.indices.chosen())
    if head == "blend":
        assert record is not None
        return BlendEstimator(patches, views, BLENDED, context, record)
    return Probe(views["embedding" if head == "probe" else "hidden"], context)
