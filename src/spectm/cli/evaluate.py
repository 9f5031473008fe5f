"""`spectm evaluate`: patches and a laboratory record in; scores, predictions and a report out."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from spectm.cli.options import add_settings, keep_settings, read_sources, settings_from
from spectm.data.labels import read_labels
from spectm.data.matchups import TASKS
from spectm.errors import ConfigError
from spectm.evaluation.model_scores import score_model
from spectm.evaluation.protocol import MODELS
from spectm.evaluation.run import EvaluationSettings, evaluate
from spectm.evaluation.summary import results_page
from spectm.files import replacing
from spectm.training.forecaster import load
from spectm.training.settings import PretrainConfig

__all__ = ["add_arguments", "run"]

# What `--quick` changes: enough to see that everything runs and where the numbers lie.
QUICK: dict[str, Any] = {"splits": ("leave-date-out",), "seeds": 1, "guards_nm": (0.0,)}
QUICK_STEPS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Score SpecTM and its baselines on station patches and a laboratory record by the real-data protocol "
        "(docs/protocol.md). Writes scores.csv, predictions.csv and report.html; docs/formats.md lists all."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm evaluate --patches pace_station_patches.nc --unlabelled pace_pixels.nc --labels glerl/ "
        "--out runs/evaluation\n"
        "  spectm evaluate --patches patches.nc --labels labels.csv --out runs/quick --quick\n"
        "  spectm evaluate --patches patches.nc --labels labels.csv --out runs/two --models ridge,spectm\n"
        "  spectm evaluate --model erie-2024 --patches patches.nc --labels labels.csv --out runs/scored\n\n"
        f"models: {', '.join(MODELS)}"
    )
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument(
        "--unlabelled",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more spectra to pretrain on; may be repeated",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="score a trained model as it is: a released one by name, or a folder; nothing is learned",
    )
    parser.add_argument(
        "--task",
        action="append",
        choices=TASKS,
        help="with --model: now, or 8 days ahead; may be repeated (default: both)",
    )
    parser.add_argument("--quick", action="store_true", help="leave-date-out, one seed, short pretraining")
    parser.add_argument("--models", metavar="NAME,...", help="only these models")
    parser.add_argument("--results", type=Path, metavar="FILE", help="also write the tables as Markdown")
    add_settings(parser)


def shortened(pretraining: PretrainConfig) -> PretrainConfig:
    """The pretraining of ``--quick``: no more than sixty steps."""
    steps = min(pretraining.loop.steps, QUICK_STEPS)
    return replace(pretraining, loop=replace(pretraining.loop, steps=steps))


def run(args: argparse.Namespace) -> int:
    """Evaluate, and name what was written."""
    if args.model:
        return _score(args)
    if args.task:
        raise ConfigError("--task goes with --model; the tasks of the protocol are evaluation.tasks")
    settings = settings_from(args, EvaluationSettings)
    changes = dict(QUICK) if args.quick else {}
    if args.models:
        changes["models"] = tuple(name.strip() for name in args.models.split(","))
    settings = replace(settings, evaluation=replace(settings.evaluation, **changes))
    if args.quick:
        settings = replace(settings, pretraining=shortened(settings.pretraining))
    labels = read_labels(args.labels)
    (patches, *unlabelled), files = read_sources([args.patches, *args.unlabelled])
    print(labels.summary())
    keep_settings(settings, args.out)
    provenance = {"files": files, "labels": args.labels.name, "labels_summary": labels.summary()}
    written = evaluate(patches, labels, unlabelled, settings, args.out, provenance=provenance)
    if args.results:
        with replacing(args.results) as unfinished:
            unfinished.write_text(results_page(args.out), encoding="utf-8")
        written.append(args.results)
    print("wrote " + "\n      ".join(str(path) for path in written))
    return 0


def _score(args: argparse.Namespace) -> int:
    """Score a trained model; no setting of training has a part in it."""
    unused = [
        f"--{option}"
        for option in ("unlabelled", "quick", "models", "results", "config", "set")
        if getattr(args, option)
    ]
    if unused:
        raise ConfigError(
            f"--model scores a model as it is: {', '.join(unused)} can't change it; leave it out"
        )
    model = load(args.model)
    (patches,), files = read_sources([args.patches])
    labels = read_labels(args.labels)
    print(labels.summary())
    scores, written = score_model(
        model,
        Path(args.model).resolve().name,
        patches,
        labels,
        args.out,
        tasks=args.task or TASKS,
        provenance={"files": files, "labels": args.labels.name, "labels_summary": labels.summary()},
    )
    print(_table(scores))
    print("wrote " + "\n      ".join(str(path) for path in written))
    return 0


def _table(scores: pd.DataFrame) -> str:
    """The scores that matter, with their intervals."""

    def with_interval(column: str) -> list[str]:
        parts = zip(scores[column], scores[f"{column}_low"], scores[f"{column}_high"], strict=True)
        return [f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in parts]

    rows = {
        "unseen": "not learned from",
        "near": "within 60 h of such",
        "seen": "learned from",
        "all": "all",
    }
    table = pd.DataFrame(
        {
            "task": scores["task"],
            "rows": [rows[subset] for subset in scores["rows"]],
            "n": scores["n"].astype(int),
            "dates": scores["n_dates"],
            "model": scores["model"],
            "R2": with_interval("r2"),
            "skill against climatology": with_interval("skill_climatology"),
        }
    )
    return table.to_string(index=False)
