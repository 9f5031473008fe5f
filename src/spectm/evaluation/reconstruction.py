"""How well hidden bands are inferred on held-out dates, beside a spline, components and ridge regression.

A high correlation here says nothing about toxins: neighbouring bands of water colour are nearly collinear.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning_fabric import Fabric
from scipy.interpolate import CubicSpline

from spectm.data.patches import Patches
from spectm.data.splits import excluded_by, group_folds
from spectm.evaluation.audit import audit_spectra
from spectm.evaluation.scores import draw_weights
from spectm.model.masking import TokenLayout
from spectm.model.spectm import SpecTM
from spectm.training.pretrain import layout_for, pretrain
from spectm.training.ridge import Standardiser
from spectm.training.settings import Settings

__all__ = [
    "METHODS",
    "HeldOut",
    "as_lines",
    "from_lines",
    "masked",
    "nearest_block",
    "reconstruct",
    "reconstruction_scores",
]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

METHODS = ("spectm", "ridge", "pca", "spline")
PENALTIES = np.logspace(-4, 3, 15)
COMPONENTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30)
N_INNER_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Spectra of dates that nothing was learned from, and what each method made of their hidden bands.

    Parameters
    ----------
    guard_nm : float
        Width hidden, but not scored, beside each window.
    layout : TokenLayout
        Bands, windows, guards.
    date : ndarray of str, shape (n,)
        UTC date of each spectrum.
    observed : ndarray, shape (n, n_bands)
        Mean spectrum of each patch, sr^-1.
    inferred : dict of ndarray, shape (n, n_bands)
        By method; NaN outside the windows, and where a method does not apply.
    """

    guard_nm: float
    layout: TokenLayout
    date: npt.NDArray[np.str_]
    observed: FloatArray
    inferred: dict[str, FloatArray]


def masked(settings: Settings, guard_nm: float) -> Settings:
    """Settings with targeted masks and this guard: what reconstruction is trained with."""
    masking = replace(settings.masking, strategy="targeted", guard_nm=guard_nm)
    return replace(settings, masking=masking)


def as_lines(held_out: HeldOut) -> list[dict[str, Any]]:
    """One line for each spectrum and band, for a table that `from_lines` reads."""
    n, n_bands = held_out.observed.shape
    columns = {
        "spectrum": np.repeat(np.arange(n), n_bands),
        "date": np.repeat(held_out.date, n_bands),
        "band": np.tile(np.arange(n_bands), n),
        "observed": held_out.observed.ravel(),
        **{method: held_out.inferred[method].ravel() for method in METHODS},
    }
    return pd.DataFrame({"guard_nm": held_out.guard_nm, **columns}).to_dict("records")  # type: ignore[return-value]


def from_lines(table: pd.DataFrame, settings: Settings, wavelength: npt.NDArray[np.float64]) -> list[HeldOut]:
    """What `as_lines` wrote, by guard; spectra of several blocks of dates are together, in their order."""
    found = []
    for guard_nm, lines in table.groupby("guard_nm", sort=False):
        layout = layout_for(masked(settings, float(guard_nm)), wavelength)  # type: ignore[arg-type]
        n_bands = layout.n_bands
        of_method = {name: lines[name].to_numpy().reshape(-1, n_bands) for name in ("observed", *METHODS)}
        date = lines["date"].to_numpy(dtype=np.str_)[::n_bands]
        found.append(HeldOut(float(guard_nm), layout, date, of_method.pop("observed"), of_method))  # type: ignore[arg-type]
    return found


def nearest_block(
    times: npt.NDArray[np.datetime64], block_times: Sequence[npt.NDArray[np.datetime64]]
) -> IntArray:
    """Block of dates in which each spectrum is scored, so that none counts twice.

    A patch can lie within the buffer of two blocks: eight days ahead, the overpass of a sample belongs to the
    dates before.

    Parameters
    ----------
    times : ndarray of datetime64, shape (n,)
        Overpasses, UTC.
    block_times : sequence of ndarray of datetime64
        Test times of each block, in the order of blocks.

    Returns
    -------
    ndarray of int, shape (n,)
        The block with the test time nearest to the overpass, the earlier one where two are equally near.

    Examples
    --------
    >>> times = np.array(["2024-07-01T18", "2024-07-08T18", "2024-07-05T06"], dtype="datetime64[ns]")
    >>> blocks = [times[:1], np.array(["2024-07-01T18", "2024-07-09T14"], dtype="datetime64[ns]")]
    >>> print(nearest_block(times, blocks))
    [0 1 0]
    """
    apart = [np.abs(times[:, None] - of_block[None, :]).min(axis=1) for of_block in block_times]
    return np.stack(apart).argmin(axis=0)


def reconstruct(
    fabric: Fabric,
    sources: Sequence[Patches],
    patches: Patches,
    test_times: npt.NDArray[np.datetime64],
    settings: Settings,
    *,
    guard_nm: float,
    seed: int,
    pretrained: SpecTM | None = None,
) -> HeldOut:
    """Train every method on `sources` and let it fill in the patches near `test_times`.

    Parameters
    ----------
    fabric : Fabric
        Device and precision.
    sources : sequence of Patches
        What may be learned from; audited against the test spectra.
    patches : Patches
        Station patches, of which those within the buffer around a test time are filled in. Where a patch lies
        near the test times of several blocks, the caller gives it to one of them: see `nearest_block`.
    test_times : ndarray of datetime64
        Of the block of dates left out, UTC.
    settings : Settings
        Of SpecTM; its masking is targeted, with this guard.
    guard_nm, seed
        Guard beside each window, nm; seed of the pretraining.
    pretrained : SpecTM, optional
        The model of these sources, settings and seed, where there is one already.

    Raises
    ------
    LeakageError
        If a test spectrum would be learned from.
    """
    test = patches.select(excluded_by(patches.time, test_times) & patches.valid.any(axis=(1, 2)))
    audit_spectra(sources, test, test_times, "leave-date-out", purpose="reconstruction")
    settings = masked(settings, guard_nm)
    model = pretrain(fabric, sources, settings, seed=seed).model if pretrained is None else pretrained
    layout = layout_for(settings, patches.wavelength)
    training = np.concatenate([source.mean_spectrum() for source in sources])
    days = np.concatenate([source.time.astype("datetime64[D]") for source in sources])
    known = np.isfinite(training).all(axis=1)
    training, days = training[known], days[known]
    observed = test.mean_spectrum()
    hidden = layout.targeted[layout.token]
    linear: dict[str, _Linear] = {"ridge": _ridge, "pca": _components}
    inferred = {"spectm": _filled_in(model, test)}
    for name, method in linear.items():
        inferred[name] = _infer(method, training, days, observed, hidden)
    inferred["spline"] = _spline(layout, observed, hidden)
    scored = layout.window >= 0
    inferred = {name: np.where(scored, inferred[name], np.nan) for name in METHODS}
    return HeldOut(guard_nm, layout, test.time.astype("datetime64[D]").astype(np.str_), observed, inferred)


def reconstruction_scores(blocks: Sequence[HeldOut]) -> pd.DataFrame:
    """Scores of each method, guard and window, pooled over the blocks of dates.

    Returns
    -------
    DataFrame
        guard_nm, window (nm, or "interior" and "all"), method, n_spectra, n_bands, ``r`` pooled over bands
        and spectra, ``r_band`` the mean over bands of the correlation over spectra, ``rmse`` in sr^-1, and
        ``rmse_ratio`` with its interval over dates: the RMSE as a share of ridge's.
    """
    lines = []
    for guard in dict.fromkeys(block.guard_nm for block in blocks):
        of_guard = [block for block in blocks if block.guard_nm == guard]
        layout = of_guard[0].layout
        observed = np.concatenate([block.observed for block in of_guard])
        weights = draw_weights(np.concatenate([block.date for block in of_guard]))
        inferred = {m: np.concatenate([block.inferred[m] for block in of_guard]) for m in METHODS}
        for window, bands in _window_bands(layout).items():
            errors = {m: ((inferred[m] - observed)[:, bands] ** 2).mean(axis=1) for m in METHODS}
            for method in METHODS:
                if np.isnan(errors[method]).any():
                    continue  # the spline does not extrapolate into the last window
                unit = weights @ errors["ridge"]  # zero where no hidden band varies: then there is no share
                share = np.divide(
                    weights @ errors[method], unit, out=np.full(unit.shape, np.nan), where=unit > 0
                )
                ratio = np.sqrt(share)
                low, high = np.quantile(ratio[1:], [0.025, 0.975])
                line = {"guard_nm": guard, "window": window, "method": method, "n_spectra": len(observed)}
                line |= _correlations(observed[:, bands], inferred[method][:, bands])
                line |= {"rmse": float(np.sqrt(errors[method].mean())), "rmse_ratio": float(ratio[0])}
                lines.append(line | {"rmse_ratio_low": float(low), "rmse_ratio_high": float(high)})
    return pd.DataFrame(lines)


def _window_bands(layout: TokenLayout) -> dict[str, IntArray]:
    """Bands of each window by name, of the interior ones (a visible band on either side), and of all."""
    hidden = layout.targeted[layout.token]
    visible = np.flatnonzero(~hidden)
    bands = {
        number: np.flatnonzero(layout.window == number) for number in np.unique(layout.window) if number >= 0
    }
    named = {f"{layout.wavelength[b[0]]:g}-{layout.wavelength[b[-1]]:g} nm": b for b in bands.values()}
    if between := [b for b in bands.values() if visible.min() < b.min() and b.max() < visible.max()]:
        named["interior"] = np.concatenate(between)
    return {**named, "all": np.flatnonzero(layout.window >= 0)}


def _correlations(observed: FloatArray, inferred: FloatArray) -> dict[str, float]:
    """Pooled, and the mean over the bands that vary; NaN where none does."""
    vary = [b for b in range(observed.shape[1]) if np.ptp(observed[:, b]) > 0]
    per_band = [_correlation(observed[:, b], inferred[:, b]) for b in vary]
    r_band = float(np.mean(per_band)) if per_band else float("nan")
    return {
        "n_bands": observed.shape[1],
        "r": _correlation(observed.ravel(), inferred.ravel()),
        "r_band": r_band,
    }


def _correlation(observed: FloatArray, inferred: FloatArray) -> float:
    """Pearson's r; 0 for a constant guess at what varies, NaN where nothing varies."""
    if np.ptp(observed) == 0:
        return float("nan")
    return float(np.corrcoef(observed, inferred)[0, 1]) if np.ptp(inferred) > 0 else 0.0


def _filled_in(model: SpecTM, test: Patches) -> FloatArray:
    model.eval()
    hidden = torch.from_numpy(model.encoder.layout.targeted).expand(test.n_samples, -1)
    return model.fill_in(torch.from_numpy(test.Rrs), hidden).double().numpy()


# Visible training bands, hidden training bands and a setting in; a map from visible to hidden bands out.
_Linear = Callable[[FloatArray, FloatArray, float], Callable[[FloatArray], FloatArray]]


def _ridge(visible: FloatArray, hidden: FloatArray, penalty: float) -> Callable[[FloatArray], FloatArray]:
    """Ridge regression from standardised visible to hidden bands; a constant visible band tells nothing."""
    scaler, target = Standardiser().fit(visible), hidden.mean(axis=0)
    x = scaler.scaled(visible)
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (hidden - target))
    return lambda new: scaler.scaled(new) @ weight + target


def _components(visible: FloatArray, hidden: FloatArray, n: float) -> Callable[[FloatArray], FloatArray]:
    """Principal components of whole spectra; a new one's scores are least squares on its visible bands.

    A constant visible band tells nothing; a constant hidden one is given its constant.
    """
    seen, filled = Standardiser().fit(visible), Standardiser().fit(hidden)
    x = np.hstack([seen.scaled(visible), filled.scaled(hidden)])
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    axes, n_visible = axes[: int(n)], visible.shape[1]
    to_hidden = np.linalg.pinv(axes[:, :n_visible].T).T @ axes[:, n_visible:]
    spread = np.where(np.isfinite(filled.scale_), filled.scale_, 0.0)
    return lambda new: seen.scaled(new) @ to_hidden * spread + filled.mean_


def _infer(
    method: _Linear,
    training: FloatArray,
    days: npt.NDArray[np.datetime64],
    observed: FloatArray,
    hidden: npt.NDArray[np.bool_],
) -> FloatArray:
    """Fit with the setting that does best in folds of days inside the training part; fill in."""
    settings = PENALTIES if method is _ridge else COMPONENTS
    x, y = training[:, ~hidden], training[:, hidden]
    errors = np.zeros(len(settings))
    for train, test in group_folds(days.astype(np.str_), N_INNER_FOLDS):
        for i, setting in enumerate(settings):
            errors[i] += ((method(x[train], y[train], setting)(x[test]) - y[test]) ** 2).sum()
    filled = np.full(observed.shape, np.nan)
    filled[:, hidden] = method(x, y, settings[int(errors.argmin())])(observed[:, ~hidden])
    return filled


def _spline(layout: TokenLayout, observed: FloatArray, hidden: npt.NDArray[np.bool_]) -> FloatArray:
    """Cubic spline through the visible bands; it does not extrapolate."""
    wavelength = layout.wavelength
    return CubicSpline(wavelength[~hidden], observed[:, ~hidden], axis=1, extrapolate=False)(wavelength)
