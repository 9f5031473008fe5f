"""One evaluation from files to files: what `spectm evaluate` does."""

import json
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
from joblib import Parallel, delayed
from lightning_fabric import Fabric

import spectm
from spectm.data.labels import Labels
from spectm.data.origin import SIMULATED
from spectm.data.patches import Patches
from spectm.evaluation.baselines import BASELINES
from spectm.evaluation.claims import claims, score_draws
from spectm.evaluation.models import VARIANTS
from spectm.evaluation.protocol import EvaluationConfig, blind_sources, run_protocol, scopes
from spectm.evaluation.reconstruction import (
    METHODS,
    HeldOut,
    nearest_block,
    reconstruct,
    reconstruction_scores,
)
from spectm.evaluation.report import write_report
from spectm.evaluation.results import (
    ENSEMBLE,
    prediction_table,
    score_table,
    with_ensemble,
    write_table,
)
from spectm.evaluation.task import Task
from spectm.files import replacing
from spectm.model.masking import mask_summary
from spectm.training.pretrain import layout_for, pretraining_data, untrained
from spectm.training.settings import Settings

__all__ = ["EvaluationSettings", "evaluate"]

N_EXAMPLES = 4
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
) -> list[Path]:
    """Run the protocol and write its tables and its report.

    Parameters
    ----------
    patches, labels, unlabelled
        As `spectm.evaluation.protocol.run_protocol` takes them.
    settings : EvaluationSettings
        Of models and comparison.
    out : Path
        Folder; made where missing. Documented in ``docs/formats.md``.
    provenance : mapping
        Of the input files, for ``run.json``.

    Returns
    -------
    list of Path
        What was written, the report last.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    tasks, predictions, curves = run_protocol(patches, labels, unlabelled, settings, settings.evaluation)
    predictions = with_ensemble(predictions)
    tables = {
        "scores.csv": score_table(tasks, predictions),
        "predictions.csv": prediction_table(tasks, predictions),
        "pairs.csv": pair_table(tasks, predictions),
    }
    if "spectm" in settings.evaluation.models and "leave-date-out" in settings.evaluation.splits:
        blocks = _reconstructions(tasks, patches, unlabelled, settings)
        tables["reconstruction.csv"] = reconstruction_scores(blocks)
        tables["reconstruction_examples.csv"] = _examples(blocks)
    if not curves.empty:
        tables["curves.csv"] = curves
    for name, table in tables.items():
        write_table(table, out / name)
    for name in {"reconstruction.csv", "reconstruction_examples.csv", "curves.csv"} - tables.keys():
        (out / name).unlink(missing_ok=True)  # of an older run, which the report would mix with this one
    run = _run_record(tasks, patches, settings, provenance, seconds=time.monotonic() - started)
    with replacing(out / "run.json") as unfinished:
        unfinished.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    return [*(out / name for name in tables), out / "run.json", write_report(out)]


def pair_table(tasks: dict[str, Task], predictions: pd.DataFrame) -> pd.DataFrame:
    """Paired differences in R2, leave-date-out, ensembles: SpecTM against everything of the same context.

    Returns
    -------
    DataFrame
        task, split, context, model, against, r2_difference, low, high: above zero ``model`` is better; and
        corrected_low, corrected_high, p_corrected (for the pairs of one task and context), detectable.
    """
    split = "leave-date-out"
    chosen = predictions[predictions["split"] == split]
    lines: list[dict[str, Any]] = []
    for (name, context), group in chosen.groupby(["task", "context"]):
        differences: list[npt.NDArray[Any]] = []
        of_model = {str(model): lines_of for model, lines_of in group.groupby("model")}
        for other in (model for model in of_model if "spectm" in of_model and model != "spectm"):
            # An ensemble is held against an ensemble: the seeds that both have.
            seeds = set(of_model["spectm"]["seed"]) & set(of_model[other]["seed"]) - {ENSEMBLE}
            seeds = {ENSEMBLE} if other in BASELINES else seeds
            pair = [_mean_over(of_model[model], seeds) for model in ("spectm", other)]
            observed = tasks[str(name)].observations(pair[0].index.to_numpy())
            first, second = score_draws(observed, np.stack([means["mean"].to_numpy() for means in pair]))
            differences.append(first - second)
            line = {"task": name, "split": split, "context": context, "model": "spectm", "against": other}
            lines.append(line)
        for line, claim in zip(lines[len(lines) - len(differences) :], claims(differences), strict=True):
            line |= {PAIR_COLUMNS.get(key, key): value for key, value in claim.columns.items()}
    columns = ["task", "split", "context", "model", "against", "r2_difference", "low", "high", *CORRECTED]
    return pd.DataFrame(lines, columns=columns)


def _mean_over(lines: pd.DataFrame, seeds: set[str]) -> pd.DataFrame:
    """Mean of each row over some seeds."""
    return lines[lines["seed"].isin(seeds)].groupby("row")[["mean"]].mean()


def _reconstructions(
    tasks: dict[str, Task], patches: Patches, unlabelled: Sequence[Patches], settings: EvaluationSettings
) -> list[HeldOut]:
    """Hidden bands of every held-out block of dates, for each guard; seed 0. A patch is scored once."""
    blocks = scopes(tasks, "leave-date-out", settings.evaluation)
    block = nearest_block(patches.time, [scope.test_times for scope in blocks])
    jobs = [
        delayed(_reconstruction_job)(
            blind_sources(patches, unlabelled, scope),
            patches.select(block == number),
            scope.test_times,
            settings,
            guard_nm,
        )
        for guard_nm in settings.evaluation.guards_nm
        for number, scope in enumerate(blocks)
    ]
    return list(Parallel(n_jobs=settings.evaluation.workers)(jobs))


def _reconstruction_job(
    sources: Sequence[Patches],
    patches: Patches,
    test_times: Any,
    settings: EvaluationSettings,
    guard_nm: float,
) -> HeldOut:
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=1)
    return reconstruct(fabric, sources, patches, test_times, settings, guard_nm=guard_nm, seed=0)


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
