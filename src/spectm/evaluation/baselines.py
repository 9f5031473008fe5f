"""Baselines behind one interface: what SpecTM has to beat, with the same context and an honest spread."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVR

from spectm.data.context import CONTEXTS, Context
from spectm.data.splits import group_folds
from spectm.errors import ConfigError
from spectm.evaluation.gaussian_process import GaussianProcess
from spectm.evaluation.learners import (
    BestIndex,
    Given,
    Inputs,
    Learner,
    Mean,
    Ridge,
    Standardised,
)
from spectm.evaluation.task import Task

__all__ = ["BASELINES", "Baseline", "Estimator", "baseline_contexts", "make_baseline", "out_of_fold_spread"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

N_SPREAD_FOLDS = 3  # of training dates; more would cost more than the models themselves
N_TREES, N_LIGHT_TREES = 500, 50  # as the reference scores have it, and enough for a spread
LEAST_SPREAD = 1e-3  # log10; only where the training rows are all the same


class Estimator(Protocol):
    """What is scored: anything that learns from rows of a task and predicts others."""

    def fit(self, task: Task, train: IntArray) -> Self:
        """Learn from the rows `train`, and from nothing else of the task."""
        ...

    def predict(self, task: Task, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of log10 ug/L, each of shape (n_rows,)."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one baseline is made.

    Parameters
    ----------
    make : callable
        Returns a fresh learner for a seed.
    contexts : tuple of str
        The switches that make a difference to it.
    make_light : callable, optional
        The same with less work, for the residuals that the spread is taken from.
    """

    make: Callable[[int], Learner]
    contexts: tuple[Context, ...] = CONTEXTS
    make_light: Callable[[int], Learner] | None = None


def _extra_trees(n_trees: int, seed: int) -> Learner:
    return Standardised(
        lambda shape: ExtraTreesRegressor(n_trees, min_samples_leaf=2, random_state=seed, n_jobs=1)
    )


def _gradient_boosting(seed: int) -> Learner:
    # Shallow trees on half of the rows and a tenth of the columns each: a hundred rows hold no more.
    return Standardised(
        lambda shape: GradientBoostingRegressor(
            n_estimators=100,
            learning_rate=0.05,
            max_depth=2,
            subsample=0.5,
            max_features=0.1,
            random_state=seed,
        )
    )


def _mlp(seed: int) -> Learner:
    # No early stopping, as a tenth of a hundred rows is no validation set: weight decay holds it back.
    return Standardised(
        lambda shape: MLPRegressor(
            hidden_layer_sizes=(16,),
            activation="tanh",
            solver="lbfgs",
            alpha=10.0,
            max_iter=60,
            random_state=seed,
        )
    )


# Ridge, PLS, SVR and extra trees as the protocol's reference scores have them.
_RECIPES: dict[str, Recipe] = {
    "mean": Recipe(lambda seed: Mean(), ("none",)),
    "climatology": Recipe(lambda seed: Given(lambda inputs: inputs.climatology), ("season",)),
    "persistence": Recipe(lambda seed: Given(lambda inputs: inputs.persistence), ("season+lab",)),
    "best-index": Recipe(lambda seed: BestIndex()),
    "ridge": Recipe(lambda seed: Ridge()),
    "pls": Recipe(lambda seed: Standardised(lambda shape: PLSRegression(min(8, *shape), scale=False))),
    "svr": Recipe(lambda seed: Standardised(lambda shape: SVR(C=3.0, epsilon=0.1, gamma="scale"))),
    "extra-trees": Recipe(
        lambda seed: _extra_trees(N_TREES, seed), make_light=lambda seed: _extra_trees(N_LIGHT_TREES, seed)
    ),
    "gradient-boosting": Recipe(_gradient_boosting),
    "gp": Recipe(lambda seed: GaussianProcess()),
    "mlp": Recipe(_mlp),
}

BASELINES: tuple[str, ...] = tuple(_RECIPES)
"""Names of all baselines, the references first."""


@dataclass(slots=True)
class Baseline:
    """A baseline with a predictive distribution.

    With context, what is learned is the departure from the climatology: eleven years know the season better
    than the few dates of a training part, from which each learner would otherwise have to find it again.

    A learner without a distribution of its own gets a normal one, whose spread is the root mean square of its
    out-of-fold residuals inside the training part, in three folds grouped by date.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    context : {"none", "season", "season+lab"}
        What it sees beside the spectrum.
    seed : int
        For the baselines that draw: extra-trees, gradient-boosting, mlp.
    spread : bool
        Whether to work out the spread. Where nothing asks for it, that is half of the time or more.
    """

    name: str
    context: Context
    seed: int
    spread: bool = True
    learner_: Learner = field(init=False)
    spread_: float = field(init=False)

    def fit(self, task: Task, train: IntArray) -> Self:
        """Learn from the training rows.

        Parameters
        ----------
        task : Task
        train : ndarray of int
            Rows; nothing else of the task is looked at. With context "season+lab" leave out those that
            `Task.without_inputs_from` names.

        Returns
        -------
        Baseline
            Itself.

        Raises
        ------
        SplitError
            If the training rows are of one date only.
        """
        recipe = _RECIPES[self.name]
        inputs, dates = Inputs.of(task, self.context)[train], task.dates[train]
        target = task.y[train] - self._prior(task, train)
        self.learner_ = recipe.make(self.seed).fit(inputs, target, dates)
        self.spread_ = np.nan
        if self.spread and not isinstance(self.learner_, GaussianProcess):
            make = recipe.make_light or recipe.make
            self.spread_ = out_of_fold_spread(lambda: make(self.seed), inputs, target, dates)
        return self

    def predict(self, task: Task, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of log10 ug/L, each of shape (n_rows,); nothing is clipped.

        Where no spread was worked out, it is NaN, but for a learner with a distribution of its own.
        """
        inputs, prior = Inputs.of(task, self.context)[rows], self._prior(task, rows)
        if isinstance(self.learner_, GaussianProcess):
            mean, spread = self.learner_.distribution(inputs)
            return mean + prior, spread
        mean = self.learner_.predict(inputs)
        return mean + prior, np.full(mean.shape, self.spread_)

    def _prior(self, task: Task, rows: IntArray) -> FloatArray:
        """What the learner is to depart from, shape (n_rows,)."""
        learns = baseline_contexts(self.name) == CONTEXTS
        return task.climatology[rows] if learns and self.context != "none" else np.zeros(rows.size)


def baseline_contexts(name: str) -> tuple[Context, ...]:
    """Contexts in which a baseline is worth running.

    References need one each: the mean uses nothing, the climatology the season, persistence the last
    laboratory value.

    Examples
    --------
    >>> baseline_contexts("climatology")
    ('season',)
    """
    return _recipe(name).contexts


def make_baseline(name: str, context: Context, seed: int, *, spread: bool = True) -> Estimator:
    """Return a baseline that has learned nothing yet.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    context : {"none", "season", "season+lab"}
        What it sees beside the spectrum; the references always use what they are named after.
    seed : int
        For the baselines that draw.
    spread : bool
        False where only the mean is asked for: it is there sooner, and the spread is NaN.

    Raises
    ------
    ConfigError
        If there is no such baseline or context.
    """
    _recipe(name)
    if context not in CONTEXTS:
        raise ConfigError(f"context: wanted one of {', '.join(CONTEXTS)}, found {context!r}.")
    return Baseline(name, context, seed, spread)


def out_of_fold_spread(
    make: Callable[[], Learner], inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]
) -> float:
    """Return the root mean square of residuals, each from a learner that saw no row of that date.

    Parameters
    ----------
    make : callable
        Returns a fresh learner.
    inputs : Inputs
        Of n training rows.
    y : ndarray, shape (n,)
        What is learned, log10 of ug/L or a departure.
    dates : ndarray of str, shape (n,)
        Sampling dates, dealt into three folds.

    Returns
    -------
    float
        Spread of a normal distribution around the predictions, log10; positive.

    Raises
    ------
    SplitError
        If all rows are of one date.
    """
    residuals = np.empty_like(y)
    for train, test in group_folds(dates, N_SPREAD_FOLDS):
        learner = make().fit(inputs[train], y[train], dates[train])
        residuals[test] = y[test] - learner.predict(inputs[test])
    return max(float(np.sqrt(np.mean(residuals**2))), LEAST_SPREAD)


def _recipe(name: str) -> Recipe:
    if name not in _RECIPES:
        raise ConfigError(f"baseline: wanted one of {', '.join(BASELINES)}, found {name!r}.")
    return _RECIPES[name]
