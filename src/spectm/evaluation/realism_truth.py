"""The known truth is used: what is learned from simulated spectra, on simulated weeks and on real samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from spectm.evaluation.realism_spectra import Spectra, normalised
from spectm.evaluation.scores import drawn_dates
from spectm.evaluation.task import Task
from spectm.spectral.indices import cyanobacteria_index

__all__ = ["QUANTITIES", "learned_from_truth", "rank_correlation", "targets"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

QUANTITIES = ("phycocyanin", "chlorophyll", "microcystin")
PENALTIES = np.logspace(-2, 5, 15)
N_FOLDS, TREES, BINS = 5, 150, 64
LEAST = 1e-3  # ug/L: below, nobody asks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    value: float
    low: float
    high: float


def targets(spectra: Spectra) -> dict[str, FloatArray]:
    """log10 of what simulated water holds, ug/L, as a laboratory counts: chlorophyll is that of all algae."""
    contents = spectra.contents
    chlorophyll = contents["chlorophyll"] + contents["cyano_chlorophyll"]
    whole = {**contents, "chlorophyll": chlorophyll}
    return {name: np.log10(np.maximum(whole[name], LEAST)) for name in QUANTITIES}


def learned_from_truth(simulated: Spectra, task: Task, *, seed: int) -> pd.DataFrame:
    """Regressions from simulated shapes to simulated truth: R2 on unseen weeks, ranks on real rows.

    Real rows are seen once, by models that were made from simulated spectra alone.

    Parameters
    ----------
    simulated : Spectra
        With their truth.
    task : Task
        Real rows.
    seed : int
        Of folds and trees.

    Returns
    -------
    DataFrame
        model ("ridge", "gradient-boosting", and "index", the cyanobacteria index as it is), quantity,
        r2_simulated (NaN for the index), and of the real rows rho (Spearman), low, high (95 %, dates drawn
        2,000 times) and n_rows.
    """
    shapes, real = normalised(simulated.Rrs, simulated.wavelength), normalised(task.spectra, task.wavelength)
    weeks = simulated.time.astype("datetime64[W]").astype(np.int64)
    truth, laboratory = targets(simulated), _laboratory(task)
    index = np.asarray(cyanobacteria_index(task.spectra, task.wavelength))
    rows = []
    for name in QUANTITIES:
        for model in ("ridge", "gradient-boosting"):
            score = _on_unseen_weeks(model, shapes, truth[name], weeks, seed)
            guess = _fitted(model, shapes, truth[name], weeks, seed).predict(real)
            rows.append({"model": model, "quantity": name, "r2_simulated": score, "guess": guess})
        rows.append({"model": "index", "quantity": name, "r2_simulated": np.nan, "guess": index})
    for row in rows:
        observed = laboratory[str(row["quantity"])]
        found = rank_correlation(observed, np.asarray(row.pop("guess")), task.dates)
        row |= {"rho": found.value, "low": found.low, "high": found.high}
        row["n_rows"] = int(np.isfinite(observed).sum())
    return pd.DataFrame(rows)


def rank_correlation(observed: FloatArray, guess: FloatArray, dates: npt.NDArray[np.str_]) -> _Interval:
    """Spearman's rank correlation with a 95 % interval from draws of whole dates; NaN rows are left out.

    Attributes of what comes back: value, low, high.
    """
    known = np.isfinite(observed) & np.isfinite(guess)
    observed, guess, dates = observed[known], guess[known], dates[known]
    value = float(stats.spearmanr(observed, guess).statistic)
    _, which = np.unique(dates, return_inverse=True)
    by_date = [np.flatnonzero(which == date) for date in range(int(which.max()) + 1)]
    draws = []
    for draw in drawn_dates(len(by_date)):
        rows = np.concatenate([by_date[date] for date in draw])
        ranks = [stats.rankdata(one[rows]) for one in (observed, guess)]
        if all(np.ptp(one) > 0 for one in ranks):
            draws.append(float(np.corrcoef(ranks[0], ranks[1])[0, 1]))
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    return _Interval(value=value, low=float(low), high=float(high))


def _laboratory(task: Task) -> dict[str, FloatArray]:
    """What the laboratory found in each row, shape (n,), in any unit that keeps the order."""
    found = {name: task.rows[name].to_numpy(dtype=np.float64) for name in ("phycocyanin", "chlorophyll")}
    return {**found, "microcystin": task.y}


def _on_unseen_weeks(model: str, shapes: FloatArray, truth: FloatArray, weeks: IntArray, seed: int) -> float:
    """R2 over all spectra, each predicted by a model that saw no spectrum of its week in any lake."""
    known, which = np.unique(weeks, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(known.size) % N_FOLDS)[which]
    guess = np.empty_like(truth)
    for k in np.unique(fold):
        train = fold != k
        fitted = _fitted(model, shapes[train], truth[train], weeks[train], seed)
        guess[~train] = fitted.predict(shapes[~train])
    return float(1 - np.mean((truth - guess) ** 2) / np.var(truth))


def _fitted(model: str, shapes: FloatArray, truth: FloatArray, weeks: IntArray, seed: int) -> Any:
    """A regression; the penalty of ridge is chosen in folds of weeks."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if model == "ridge":
        n_folds = min(3, np.unique(weeks).size)
        folds = list(GroupKFold(n_folds).split(shapes, truth, weeks))
        made = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, cv=folds))
    else:
        made = HistGradientBoostingRegressor(
            max_iter=TREES, max_bins=BINS, early_stopping=False, random_state=seed
        )
    return made.fit(shapes, truth)
