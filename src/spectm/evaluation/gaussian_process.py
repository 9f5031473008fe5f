"""The one baseline with a predictive distribution of its own."""

import warnings
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from spectm.evaluation.learners import Inputs
from spectm.training.ridge import Standardiser

__all__ = ["BlockRBF", "GaussianProcess"]

FloatArray = npt.NDArray[np.floating[Any]]

VARIANCES = (1e-4, 1e2)  # bounds of signal and noise, (log10 ug/L)^2


@dataclass(slots=True)
class GaussianProcess:
    """Gaussian process on eight principal components of the standardised spectrum, and on the context.

    The components are scaled to unit variance, as those of pigments are small beside that of brightness.
    Spectrum and context have a radial kernel each, added to each other and to white noise; their five
    parameters maximise the likelihood.

    Parameters
    ----------
    n_components : int
        Principal components of the spectrum.
    """

    n_components: int = 8
    spectrum_: Standardiser = field(init=False)
    context_: Standardiser = field(init=False)
    components_: PCA = field(init=False)
    mean_: float = field(init=False)
    process_: GaussianProcessRegressor = field(init=False)

    def fit(self, inputs: Inputs, y: FloatArray, dates: npt.NDArray[np.str_]) -> Self:
        """Learn components, kernels and noise."""
        self.spectrum_, self.context_ = (
            Standardiser().fit(inputs.spectrum),
            Standardiser().fit(inputs.context),
        )
        scaled = self.spectrum_.scaled(inputs.spectrum)
        self.components_ = PCA(min(self.n_components, *scaled.shape), whiten=True, svd_solver="full")
        self.components_.fit(scaled)
        self.mean_, variance = float(y.mean()), max(float(y.var()), 10 * VARIANCES[0])
        n, stop = self.components_.n_components_, self.components_.n_components_ + inputs.context.shape[1]
        kernel = WhiteKernel(variance / 2, VARIANCES) + ConstantKernel(variance / 2, VARIANCES) * BlockRBF(
            0, n
        )
        if stop > n:
            kernel += ConstantKernel(variance / 4, VARIANCES) * BlockRBF(n, stop)
        self.process_ = GaussianProcessRegressor(kernel, alpha=1e-8)
        with warnings.catch_warnings():
            # A parameter at its bound means that a block or the noise explains nothing, which is an answer.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_.fit(self._columns(inputs), y - self.mean_)
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Predict rows."""
        return self.distribution(inputs)[0]

    def distribution(self, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the target, noise included, each of shape (n,)."""
        mean, spread = self.process_.predict(self._columns(inputs), return_std=True)
        return mean + self.mean_, spread

    def _columns(self, inputs: Inputs) -> FloatArray:
        """Components and context, each of about unit total variance: then lengths near 1 suit both."""
        spectrum = self.components_.transform(self.spectrum_.scaled(inputs.spectrum))
        context = self.context_.scaled(inputs.context)
        return np.hstack([block / max(block.shape[1], 1) ** 0.5 for block in (spectrum, context)])


class BlockRBF(RBF):  # type: ignore[misc]  # scikit-learn has no types
    """Radial kernel on the columns from `start` to `stop` alone."""

    def __init__(
        self,
        start: int,
        stop: int,
        length_scale: float = 1.0,
        length_scale_bounds: tuple[float, float] = (0.05, 50),
    ) -> None:
        super().__init__(length_scale, length_scale_bounds)
        self.start, self.stop = start, stop

    def __call__(self, X: FloatArray, Y: FloatArray | None = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """Kernel of these columns of X and Y, with its gradient where asked for."""
        block = slice(self.start, self.stop)
        return super().__call__(X[:, block], None if Y is None else Y[:, block], eval_gradient)
