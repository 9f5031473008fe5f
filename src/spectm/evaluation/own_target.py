"""How good models of one's own target are, on groups of spectra that they have not seen.

Every model is learned on whole groups and asked about others, pretraining included: what is tested was never
seen, not even without its target. Masking strategies are compared with the same seeds and folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.data.context import log10_censored
from spectm.data.spectra_file import Spectra
from spectm.data.splits import group_folds
from spectm.errors import ConfigError, SplitError
from spectm.evaluation.baselines import make_baseline
from spectm.evaluation.calibration_scores import covered
from spectm.evaluation.claims import claims, mean_over_seeds, score_draws
from spectm.evaluation.jobs import Job, job_name, keep_identity, run_jobs
from spectm.evaluation.results import write_table
from spectm.evaluation.scores import Observations, draw_weights, interval_of, r2, rmse
from spectm.evaluation.task import Task
from spectm.model.masking import Strategy
from spectm.training.blend import views_of_encoders
from spectm.training.pretrain import pretrain, untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.settings import Settings
from spectm.training.spectral_model import calibrated_on, fitted_blend
from spectm.trust.estimate import LEVELS

__all__ = ["BASELINES", "MASKINGS", "REFERENCE", "Comparison", "OwnConfig", "compare_own", "own_task"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

BASELINES = ("mean", "best-index", "ridge", "pls", "svr", "extra-trees", "gp")
MASKINGS = ("targeted", "random", "block", "no-pretraining")
HEADS: dict[str, tuple[str, ...]] = {"probe": ("embedding",), "blend": ("embedding", "bands", "indices")}
"""What a ridge regression, or the mean of several, reads: the probe compares maskings, the blend is "
"what is used."""
REFERENCE = "targeted"
FEWEST_GROUPS = 6
SCORED_LIMIT = 0.1  # scores count what is lower as this: the target is shifted so that its limit is there


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnConfig:
    """How much is run.

    Parameters
    ----------
    seeds : int
        Pretrainings of each masking and fold.
    folds : int
        Of whole groups; as many as there are groups leaves out one at a time.
    workers : int
        Processes; each computes on one thread.
    """

    seeds: int = 10
    folds: int = 5
    workers: int = 2

    def __post_init__(self) -> None:
        if min(self.seeds, self.workers) < 1 or self.folds < 2:
            raise ConfigError(
                f"wanted a seed, a worker and two folds or more, found {self.seeds}, {self.workers} and "
                f"{self.folds}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What `compare_own` found.

    Parameters
    ----------
    scores : DataFrame
        model, n_seeds, r2, rmse (log10) and the coverage of both levels, each with its interval over groups.
    differences : DataFrame
        Of R2: kind ("masking": targeted minus another, the same head; "model": the blend minus another
        model), head or "", model, and the columns of `spectm.evaluation.claims.Claim`.
    predictions : DataFrame
        A line for each model, seed and labelled spectrum, log10.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    predictions: pd.DataFrame


def compare_own(
    spectra: Spectra,
    settings: Settings,
    config: OwnConfig,
    out: Path,
    *,
    identity: dict[str, Any],
    progress: bool = True,
) -> Comparison:
    """Score every model, and compare them.

    Parameters
    ----------
    spectra : Spectra
        Those without a target are pretrained on, unless their group is tested.
    settings : Settings
        Of pretraining; the masking strategy is changed, nothing else.
    config : OwnConfig
    out : Path
        Folder; what an interrupted run left there is used. Gets ``scores.csv``, ``differences.csv`` and
        ``predictions.csv``.
    identity : dict
        Of the input files: another study is refused the same folder.

    Returns
    -------
    Comparison
        Which it also writes.

    Raises
    ------
    SplitError
        If fewer than six groups have a target.
    """
    task = own_task(spectra, settings)
    n_groups = np.unique(task.dates).size
    if n_groups < FEWEST_GROUPS:
        raise SplitError(
            f"wanted {FEWEST_GROUPS} groups or more with {spectra.target.name}, found {n_groups}: what is "
            "tested must be of other groups than what is learned from. Give a finer column as spectra.group."
        )
    keep_identity(out, {**identity, "settings": asdict(settings), "folds": config.folds})
    jobs = dict(_jobs(spectra, task, settings, config))
    lines = run_jobs(jobs, out, workers=config.workers, doing="comparing", progress=progress)
    given = pd.DataFrame(
        {
            "row": np.arange(len(task.rows)),
            "sample": spectra.sample[spectra.labelled],
            "group": task.dates,
            "observed_log10": task.y,
            "below_detection": task.below,
        }
    )
    predictions = given.merge(lines, on="row")
    scores, differences = _scored(task, lines, spectra.target.detection_limit)
    for name, table in (("predictions", predictions), ("scores", scores), ("differences", differences)):
        write_table(table, out / f"{name}.csv", simulated=spectra.patches.simulated)
    return Comparison(scores, differences, predictions)


def own_task(spectra: Spectra, settings: Settings) -> Task:
    """The labelled spectra in the form that baselines take: groups stand where water has dates."""
    rows, limit = spectra.labelled, spectra.target.detection_limit
    n = rows.size
    nothing = pd.DataFrame({"log10_last": np.full(n, np.nan)})
    return Task(
        name=spectra.target.name,
        rows=pd.DataFrame({"patch": rows, "station": spectra.group[rows], "date": spectra.group[rows]}),
        spectra=spectra.patches.mean_spectrum()[rows],
        wavelength=spectra.patches.wavelength,
        y=log10_censored(spectra.value[rows], limit=limit),
        below=spectra.below[rows],
        climatology=np.zeros(n),
        last=nothing,
        indices=settings.indices.chosen(),
    )


def _jobs(spectra: Spectra, task: Task, settings: Settings, config: OwnConfig) -> Iterator[tuple[str, Job]]:
    """Baselines first, then seed by seed, so that an interrupted run has all maskings of the first ones."""
    folds = group_folds(task.dates, min(config.folds, np.unique(task.dates).size))
    for name in BASELINES:
        if name != "best-index" or task.indices:
            yield job_name(name), partial(_baseline, task, folds, name)
    for seed in range(config.seeds):
        for number, fold in enumerate(folds):
            for masking in MASKINGS:
                given = (spectra, task, settings, fold, masking, seed)
                yield job_name(masking, number, seed), partial(_pretrained, *given)


def _baseline(task: Task, folds: list[tuple[IntArray, IntArray]], name: str) -> list[dict[str, Any]]:
    lines = []
    for train, test in folds:
        mean, _ = make_baseline(name, "none", 0, spread=False).fit(task, train).predict(task, test)
        lines += [
            {"model": name, "seed": 0, "row": row, "mean": value}
            for row, value in zip(test.tolist(), mean.tolist(), strict=True)
        ]
    return lines


def _pretrained(
    spectra: Spectra, task: Task, settings: Settings, fold: tuple[IntArray, IntArray], masking: str, seed: int
) -> list[dict[str, Any]]:
    """One pretraining, blind to the groups that are tested, and both heads on it."""
    train, test = fold
    allowed = ~np.isin(spectra.group, task.dates[test])
    assert allowed[spectra.labelled[train]].all()
    blind = spectra.patches.select(allowed)
    if masking == "no-pretraining":
        model = untrained(pretraining_data([blind]), settings, seed=seed)
    else:
        strategy = cast("Strategy", masking)
        masked = replace(settings, masking=replace(settings.masking, strategy=strategy))
        fabric = Fabric(accelerator="cpu", devices=1)
        model = pretrain(fabric, [blind], masked, seed=seed).model
    encoder = model.eval().encoder
    shortest = float(spectra.patches.wavelength[0])
    (views,) = views_of_encoders(
        spectra.patches.select(spectra.labelled), [encoder], indices=task.indices, shortest_nm=shortest
    )
    limit = spectra.target.detection_limit
    lines = []
    for head, names in HEADS.items():
        of_head = {name: views[name] for name in names if name in views}
        blend = fitted_blend(of_head, train, task.y[train], task.dates[train], limit)
        asked = {name: columns[test] for name, columns in of_head.items()}
        mean = blend.predict(asked, np.zeros(test.size))
        known = (task.y[train], task.below[train], task.dates[train], limit)
        calibration = calibrated_on([of_head], train, *known)
        ends = {
            f"{end}{100 * level:.0f}": values
            for level in LEVELS
            for end, values in zip(
                ("low", "high"),
                calibration.interval(mean, np.full(test.size, blend.spread_), level),
                strict=True,
            )
        }
        lines += [
            {
                "model": f"{head}-{masking}",
                "seed": seed,
                "row": row,
                "mean": value,
                **{n: float(v[i]) for n, v in ends.items()},
            }
            for i, (row, value) in enumerate(zip(test.tolist(), mean.tolist(), strict=True))
        ]
    return lines


def _scored(task: Task, lines: pd.DataFrame, limit: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and differences; all logarithms are shifted so that the detection limit is the scores' own."""
    shift = np.log10(SCORED_LIMIT) - np.log10(limit)
    observed = Observations(task.y + shift, task.below, task.dates)
    means = {str(name): _by_seed(own, "mean") + shift for name, own in lines.groupby("model", sort=False)}
    draws = {name: score_draws(observed, each, score=r2) for name, each in means.items()}
    errors = {name: score_draws(observed, each, score=rmse) for name, each in means.items()}
    rows = []
    for name, own in lines.groupby("model", sort=False):
        line: dict[str, Any] = {"model": name, "n_seeds": len(means[str(name)])}
        for score, of in (("r2", draws), ("rmse", errors)):
            found = interval_of(mean_over_seeds(of[str(name)]))
            line |= {score: found.value, f"{score}_low": found.low, f"{score}_high": found.high}
        if own["low90"].notna().all():
            line |= _coverage(observed, own, shift)
        rows.append(line)
    scores = pd.DataFrame(rows)
    return scores, _differences(draws)


def _coverage(observed: Observations, own: pd.DataFrame, shift: float) -> dict[str, float]:
    """Share of the rows that lie in their interval, each group drawn as a whole, mean over seeds."""
    found: dict[str, float] = {}
    weights = draw_weights(observed.dates)
    for level in LEVELS:
        low, high = (_by_seed(own, f"{end}{100 * level:.0f}") + shift for end in ("low", "high"))
        held = np.mean([covered(observed, *ends) for ends in zip(low, high, strict=True)], axis=0)
        share = interval_of(weights @ held / weights.sum(axis=1))
        name = f"coverage{100 * level:.0f}"
        found |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
    return found


def _differences(draws: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Targeted masking beside the others under both heads, and the blend beside the other models."""
    parts = []
    for head in HEADS:
        others = [name for name in MASKINGS if name != REFERENCE]
        apart = [draws[f"{head}-{REFERENCE}"] - draws[f"{head}-{name}"] for name in others]
        parts.append(_claimed("masking", head, others, [mean_over_seeds(each) for each in apart]))
    plain = [name for name in draws if name in BASELINES]
    own = mean_over_seeds(draws[f"blend-{REFERENCE}"])
    parts.append(_claimed("model", "", plain, [own - mean_over_seeds(draws[name]) for name in plain]))
    return pd.concat(parts, ignore_index=True)


def _claimed(kind: str, head: str, names: list[str], differences: list[FloatArray]) -> pd.DataFrame:
    said: list[Mapping[str, float]] = [claim.columns for claim in claims(differences)]
    rows = [{"kind": kind, "head": head, "model": name, **one} for name, one in zip(names, said, strict=True)]
    return pd.DataFrame(rows)


def _by_seed(lines: pd.DataFrame, column: str) -> FloatArray:
    """Values, shape (n_seeds, n_rows)."""
    return lines.pivot(index="seed", columns="row", values=column).to_numpy(dtype=np.float64)
