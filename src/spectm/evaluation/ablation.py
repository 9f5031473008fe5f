"""What helps in pretraining: masks, tasks, spectra, settings; one change each, seeds and dates paired."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning_fabric import Fabric

from spectm.config import changed
from spectm.data.context import Context
from spectm.data.labels import Labels
from spectm.data.matchups import TASKS
from spectm.data.patches import Patches
from spectm.errors import ConfigError
from spectm.evaluation.claims import claims, mean_over_seeds, score_draws
from spectm.evaluation.folds import fold_lines
from spectm.evaluation.frozen import blend_on, probe_on
from spectm.evaluation.jobs import Job, job_name, keep_identity, run_jobs
from spectm.evaluation.models import Variant
from spectm.evaluation.protocol import blind_pretraining
from spectm.evaluation.results import write_table
from spectm.evaluation.scopes import Scope, trainable_scopes
from spectm.evaluation.study import HEADLINE, Study, headline_study
from spectm.model.masking import Strategy
from spectm.training.blend import spectral_views
from spectm.training.settings import Settings

__all__ = ["ABLATED", "HEADS", "REAL", "REFERENCES", "SOURCES", "AblationConfig", "ablate", "compared"]

FloatArray = npt.NDArray[np.floating[Any]]

PRETRAINING_TASKS = ("reconstruction", "indices", "temporal")
REFERENCE, REAL, BOTH, NO_PRETRAINING = "targeted", "real", "real-and-simulated", "no-pretraining"
REFERENCES = {REFERENCE: "targeted masking, all tasks", REAL: "real spectra alone"}
HEADS: dict[str, Context] = {"probe": "none", "blend": "season"}
"""Heads on the frozen embedding, and what each is given beside it. Reflectance and indices are not among its
views: they would answer where an embedding is poor, and hide what is compared."""


def _masked(strategy: Strategy) -> Callable[[Settings], Settings]:
    return lambda settings: replace(settings, masking=replace(settings.masking, strategy=strategy))


def _learning(*tasks: str) -> Callable[[Settings], Settings]:
    """Settings with these pretraining tasks and no others."""
    off: dict[str, Any] = {task: 0.0 for task in PRETRAINING_TASKS if task not in tasks}
    return lambda settings: replace(settings, objective=replace(settings.objective, **off))


ABLATED: dict[str, Variant] = {
    REFERENCE: Variant(change=_masked("targeted")),
    **{name: Variant(change=_masked(name)) for name in get_args(Strategy) if name != REFERENCE},
    **{
        f"without-{task}": Variant(change=_learning(*(each for each in PRETRAINING_TASKS if each != task)))
        for task in PRETRAINING_TASKS
    },
    **{f"only-{task}": Variant(change=_learning(task)) for task in PRETRAINING_TASKS},
    NO_PRETRAINING: Variant(pretrained=False),
}
"""The reference, masking strategies at all tasks, tasks at targeted masking, and random first weights."""

SOURCES: dict[str, Variant] = {
    REAL: ABLATED[REFERENCE],
    BOTH: replace(ABLATED[REFERENCE], learns_from=("study", "simulated")),
    "simulated": replace(ABLATED[REFERENCE], learns_from=("simulated",)),
    NO_PRETRAINING: ABLATED[NO_PRETRAINING],
}
"""What is compared where there are simulated spectra beside real ones; the first is the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationConfig:
    """How much is run.

    Parameters
    ----------
    seeds : int
        Pretrainings of each variant and block of dates, seeds 0, 1, ...
    workers : int
        Processes; each computes on one thread.
    tasks : tuple of str
        "current", "ahead".
    tries : tuple of str
        Other settings, each ``section.key=value``, or several with a semicolon between them: what is compared
        with the reference instead of `ABLATED`.
    """

    seeds: int = 10
    workers: int = 2
    tasks: tuple[str, ...] = TASKS
    tries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.seeds, self.workers) < 1:
            raise ConfigError(
                f"wanted at least one seed and one worker, found {self.seeds} and {self.workers}."
            )


def ablate(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: Settings,
    config: AblationConfig,
    out: Path,
    *,
    identity: dict[str, Any],
    simulated: Sequence[Patches] = (),
    progress: bool = True,
) -> pd.DataFrame:
    """Pretrain every variant, seed and block of dates; compare each variant with the reference.

    Parameters
    ----------
    patches, labels, unlabelled
        As `spectm.evaluation.protocol.run_protocol` takes them.
    settings : Settings
        Of the reference; its masking strategy is targeted whatever they say, and a task that they switch off
        stays off.
    config : AblationConfig
    out : Path
        Folder; what an interrupted run left there is used. ``docs/formats.md`` describes it.
    identity : dict
        Of the input files, simulated ones among them: another study is refused the same folder.
    simulated : sequence of Patches
        Spectra of a simulated lake: with them `SOURCES` are compared instead of `ABLATED`.
    progress : bool
        Draw a progress bar.

    Returns
    -------
    DataFrame
        ``ablation.csv``, which it also writes.

    Raises
    ------
    ConfigError
        If the folder holds results of other data or settings, or a variant is left without any task.
    LeakageError
        If anything of a test set would be learned from.
    """
    study = headline_study(patches, labels, unlabelled, settings, config.tasks)
    study = replace(study, simulated=tuple(simulated))
    variants = _variants(study, config)
    for variant in variants.values():
        variant.change(settings)  # what can't be is refused before anything is run
    blocks = list(trainable_scopes(study, HEADLINE))
    keep_identity(out, {**identity, "settings": asdict(settings), "tasks": config.tasks})
    jobs = dict(_jobs(study, blocks, variants, config.seeds))
    lines = run_jobs(jobs, out, workers=config.workers, doing="ablating", progress=progress)
    table = compared(study, lines)
    trained = [len(blocks) * variants[name].pretrained for name in table["variant"]]
    table.insert(list(table).index("r2"), "n_pretrainings", trained * table["n_seeds"])
    write_table(table, out / "ablation.csv", simulated=patches.simulated)
    return table


def _variants(study: Study, config: AblationConfig) -> Mapping[str, Variant]:
    if study.simulated and config.tries:
        raise ConfigError(
            "wanted simulated spectra or other settings to be compared, found both: run one first."
        )
    if config.tries:
        return {REFERENCE: ABLATED[REFERENCE], **{text: _trying(text) for text in config.tries}}
    return SOURCES if study.simulated else ABLATED


def _trying(text: str) -> Variant:
    """The reference with other settings."""
    overrides = [part.strip() for part in text.split(";")]
    return Variant(change=lambda settings: changed(ABLATED[REFERENCE].change(settings), overrides))


def _jobs(
    study: Study, blocks: Sequence[Scope], variants: Mapping[str, Variant], seeds: int
) -> Iterator[tuple[str, Job]]:
    """Seed by seed, so that an interrupted run has all variants of the first ones."""
    for seed in range(seeds):
        for scope in blocks:
            for name, variant in variants.items():
                yield job_name(scope.name, name, seed), partial(_job, study, scope, name, variant, seed)


def _job(study: Study, scope: Scope, name: str, variant: Variant, seed: int) -> list[dict[str, Any]]:
    """One pretraining, and both heads on all folds that stand on it."""
    fabric = Fabric(accelerator="cpu", devices=1)
    model, _ = blind_pretraining(study, scope, seed, variant, variant.change(study.settings), fabric)
    views = spectral_views(study.patches, model.encoder, indices=study.settings.indices.chosen())
    heads = {
        "probe": probe_on(views["embedding"], HEADS["probe"]),
        "blend": blend_on(study, views, ("embedding",), HEADS["blend"]),
    }
    lines = []
    for head, make in heads.items():
        for task, fold in scope.folds:
            given = (study.tasks[task], fold, head, HEADS[head], seed, make)
            lines += fold_lines(*given, current=study.current)
    kept = ("task", "fold", "row", "mean")
    return [
        {"variant": name, "seed": seed, "head": line["model"], **{key: line[key] for key in kept}}
        for line in lines
    ]


def compared(study: Study, lines: pd.DataFrame) -> pd.DataFrame:
    """Every variant beside the reference.

    Parameters
    ----------
    study : Study
        Tasks, and whether sources are compared.
    lines : DataFrame
        variant, seed, head, task, row, mean: each row once for every variant, seed and head.

    Returns
    -------
    DataFrame
        task, head, variant, reference, n_seeds, r2 (mean over seeds) and r2_low, r2_high; for all but the
        reference itself, ``difference`` (R2 of the reference minus that of the variant, mean over seeds;
        above zero the reference is better) and what may be claimed of it
        (`spectm.evaluation.claims.Claim`). The correction is for all differences of one task and head. Of
        sources, real and simulated spectra together are held against no pretraining, too.
    """
    reference, also = (REAL, [(BOTH, NO_PRETRAINING)]) if study.simulated else (REFERENCE, [])
    parts = []
    for (task, head), group in lines.groupby(["task", "head"], sort=False):
        of_task = study.tasks[str(task)]
        draws = {
            str(variant): score_draws(of_task.observations(np.arange(len(of_task.rows))), _by_seed(own))
            for variant, own in group.groupby("variant", sort=False)
        }
        pairs = [*((name, reference) for name in draws if name != reference), *also]
        found = claims([mean_over_seeds(draws[beside] - draws[name]) for name, beside in pairs])
        said = {pair: claim.columns for pair, claim in zip(pairs, found, strict=True)}
        for name, beside in [(reference, reference), *pairs]:
            line = {"task": task, "head": head, "variant": name, "reference": beside}
            pooled = mean_over_seeds(draws[name])
            low, high = np.nanpercentile(pooled[1:], [2.5, 97.5])
            line |= {"n_seeds": len(draws[name]), "r2": pooled[0], "r2_low": low, "r2_high": high}
            parts.append(line | said.get((name, beside), {}))
    return pd.DataFrame(parts)


def _by_seed(lines: pd.DataFrame) -> FloatArray:
    """Means, shape (n_seeds, n_rows)."""
    return lines.pivot(index="seed", columns="row", values="mean").to_numpy(dtype=np.float64)
