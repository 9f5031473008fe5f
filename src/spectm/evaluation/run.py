"""One evaluation from files to files: what `spectm evaluate` does."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

import spectm
from spectm.data.labels import Labels
from spectm.data.origin import SIMULATED
from spectm.data.patches import Patches
from spectm.evaluation.breakdown import worst_spectra
from spectm.evaluation.claims import claims, score_draws
from spectm.evaluation.jobs import forget
from spectm.evaluation.models import VARIANTS
from spectm.evaluation.protocol import run_protocol
from spectm.evaluation.reconstruction import METHODS, HeldOut, reconstruction_scores
from spectm.evaluation.report import write_report
from spectm.evaluation.results import (
    ENSEMBLE,
    PAIRED,
    prediction_table,
    score_table,
    with_ensemble,
    write_table,
)
from spectm.evaluation.study import HEADLINE, EvaluationConfig
from spectm.evaluation.sureness_blind import blind_shares
from spectm.evaluation.sureness_files import FILES, all_tables, familiar_lines, with_kinds
from spectm.evaluation.sureness_foreign import Foreign
from spectm.evaluation.task import Task
from spectm.files import write_json
from spectm.model.masking import mask_summary
from spectm.training.pretrain import layout_for, untrained
from spectm.training.pretraining_data import pretraining_data
from spectm.training.settings import Settings

__all__ = ["EvaluationSettings", "evaluate"]

N_EXAMPLES = 4
OPTIONAL = ("reconstruction.csv", "reconstruction_examples.csv", "worst_spectra.csv", *FILES, "curves.csv")
PAIR_COLUMNS = {"difference": "r2_difference"}
CORRECTED = ("corrected_low", "corrected_high", "p_corrected", "detectable")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings(Settings):
    """Settings of the models and of their comparison: what ``--config`` of `spectm evaluate` may hold."""

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


def evaluate(
    patches: Patches,
    labels: Labels,
    unlabelled: Sequence[Patches],
    settings: EvaluationSettings,
    out: Path,
    *,
    provenance: Mapping[str, Any],
    foreign: Sequence[Foreign] = (),
) -> list[Path]:
    """Run the protocol and write its tables and its report.

    Parameters
    ----------
    patches, labels, unlabelled
        As `spectm.evaluation.protocol.run_protocol` takes them.
    settings : EvaluationSettings
        Of models and comparison.
    out : Path
        Folder; made where missing, and what an interrupted run left there is used. Documented in
        ``docs/formats.md``.
    provenance : mapping
        Of the input files, for ``run.json``.
    foreign : sequence of Foreign
        Spectra of other waters, to see whether they look familiar.

    Returns
    -------
    list of Path
        What was written, the report last.

    Raises
    ------
    ConfigError
        If the folder holds unfinished results of other data or settings.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    found = run_protocol(
        patches, labels, unlabelled, settings, settings.evaluation, out=out, identity=provenance
    )
    predictions = with_ensemble(found.predictions)
    tables = {
        "scores.csv": score_table(found.tasks, predictions),
        "predictions.csv": prediction_table(found.tasks, predictions),
        "pairs.csv": pair_table(found.tasks, predictions),
    }
    if found.held_out:
        tables["reconstruction.csv"] = reconstruction_scores(found.held_out)
        tables["reconstruction_examples.csv"] = _examples(found.held_out)
    if not found.curves.empty:
        tables["curves.csv"] = found.curves
    if not (worst := worst_spectra(found.tasks, predictions)).empty:
        tables["worst_spectra.csv"] = worst
    if foreign or not found.flags.empty:
        familiar = familiar_lines(patches, foreign)
        blind = with_kinds(blind_shares(found.blind))
        tables |= all_tables(found.tasks, found.distributions, found.flags, familiar, blind)
    for name, table in tables.items():
        write_table(table, out / name, simulated=patches.simulated)
    for name in set(OPTIONAL) - tables.keys():
        (out / name).unlink(missing_ok=True)  # of an older run, which the report would mix with this one
    run = _run_record(found.tasks, patches, settings, provenance, seconds=time.monotonic() - started)
    write_json(out / "run.json", run)
    written = [*(out / name for name in tables), out / "run.json", write_report(out)]
    forget(out)  # now that all is told: another run may take its place
    return written


def pair_table(tasks: dict[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """Paired differences in R2, leave-date-out, ensembles: `PAIRED` against everything of the same context.

    Returns
    -------
    DataFrame
        task, split, context, model, against, r2_difference, low, high: above zero ``model`` is better; and
        corrected_low, corrected_high, p_corrected (for the pairs of one task, context and model), detectable.
    """
    chosen = predictions[predictions["split"] == HEADLINE]
    lines: list[dict[str, Any]] = []
    for (name, context), group in chosen.groupby(["task", "context"]):
        of_model = {str(model): lines_of for model, lines_of in group.groupby("model")}
        for first in (model for model in PAIRED if model in of_model):
            others = [model for model in of_model if model != first]
            about = {"task": name, "split": HEADLINE, "context": context, "model": first}
            task, own = tasks[str(name)], of_model[first]
            found = claims([_difference(task, own, of_model[other]) for other in others])
            for other, claim in zip(others, found, strict=True):
                said = {PAIR_COLUMNS.get(key, key): value for key, value in claim.columns.items()}
                lines.append({**about, "against": other, **said})
    columns = ["task", "split", "context", "model", "against", "r2_difference", "low", "high", *CORRECTED]
    return pd.DataFrame(lines, columns=columns)


def _difference(task: Task, first: pd.DataFrame, other: pd.DataFrame) -> npt.NDArray[Any]:
    """R2 of one model minus that of another, in all draws.

    An ensemble is held against an ensemble: the seeds that both have. What draws nothing has no seeds.
    """
    seeds = set(first["seed"]) & set(other["seed"]) - {ENSEMBLE}
    seeds = {ENSEMBLE} if other["model"].iloc[0] not in VARIANTS else seeds
    pair = [_mean_over(lines, seeds) for lines in (first, other)]
    observed = task.observations(pair[0].index.to_numpy())
    one, two = score_draws(observed, np.stack([means["mean"].to_numpy() for means in pair]))
    return one - two


def _mean_over(lines: pd.DataFrame, seeds: set[str]) -> pd.DataFrame:
    """Mean of each row over some seeds."""
    return lines[lines["seed"].isin(seeds)].groupby("row")[["mean"]].mean()


def _examples(blocks: Sequence[HeldOut]) -> pd.DataFrame:
    """A few spectra per guard with their hidden bands, from dim to bright."""
    parts = []
    for guard in dict.fromkeys(block.guard_nm for block in blocks):
        of_guard = [block for block in blocks if block.guard_nm == guard]
        layout = of_guard[0].layout
        observed = np.concatenate([block.observed for block in of_guard])
        dates = np.concatenate([block.date for block in of_guard])
        brightness = observed[:, layout.window >= 0].mean(axis=1)
        chosen = np.argsort(brightness)[np.linspace(0.1, 0.95, N_EXAMPLES).__mul__(len(observed)).astype(int)]
        for number, row in enumerate(chosen):
            columns = {
                "guard_nm": guard,
                "example": number,
                "date": dates[row],
                "wavelength": layout.wavelength,
                "observed": observed[row],
            }
            columns |= {m: np.concatenate([b.inferred[m] for b in of_guard])[row] for m in METHODS}
            columns |= {"hidden": layout.targeted[layout.token], "scored": layout.window >= 0}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _run_record(
    tasks: dict[str, Task],
    patches: Patches,
    settings: EvaluationSettings,
    provenance: Mapping[str, Any],
    *,
    seconds: float,
) -> dict[str, Any]:
    """What a reader needs to make the run again, and the check sums of the protocol."""
    model = untrained(pretraining_data([patches]), settings, seed=0)
    return {
        "format": "spectm-evaluation",
        "format_version": 1,
        "spectm_version": spectm.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds),
        SIMULATED: patches.simulated,
        **provenance,
        "mask": mask_summary(layout_for(settings, patches.wavelength), settings.masking),
        "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "variants": list(VARIANTS),
        "counts": {name: _counts(task) for name, task in tasks.items()},
        "settings": asdict(settings),
    }


def _counts(task: Task) -> dict[str, float]:
    hours = task.rows["hours_apart"]
    return {
        "rows": len(task.rows),
        "below_detection": int(task.below.sum()),
        "dates": int(np.unique(task.dates).size),
        "mean_hours_apart": round(float(hours.mean()), 3),
        "mean_absolute_hours_apart": round(float(hours.abs().mean()), 3),
        "within_3_hours": int((hours.abs() <= 3).sum()),
        "overpass_after_sample": int((hours < 0).sum()),
    }
