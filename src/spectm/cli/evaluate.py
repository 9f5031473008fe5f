"""`spectm evaluate`: patches and a laboratory record in; scores, predictions and a report out."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from spectm.cli.options import add_data, add_settings, keep_settings, read_data, settings_from, shortened
from spectm.cli.own import evaluate_own
from spectm.data.matchups import TASKS
from spectm.errors import ConfigError
from spectm.evaluation.model_scores import score_model
from spectm.evaluation.models import ABLATIONS
from spectm.evaluation.page_sections import sections_of, with_sections
from spectm.evaluation.run import EvaluationSettings, evaluate
from spectm.evaluation.study import MODELS
from spectm.evaluation.summary import results_images, results_page
from spectm.evaluation.sureness_foreign import read_foreign
from spectm.files import write_bytes, write_text
from spectm.training.released import load

__all__ = ["add_arguments", "asked_for", "run"]

# What `--quick` changes: enough to see that everything runs and where the numbers lie.
QUICK: dict[str, Any] = {
    "splits": ("leave-date-out",),
    "seeds": 1,
    "guards_nm": (0.0,),
    "intervals": ("climatology", "blend-plain"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Score SpecTM and its baselines on station patches and a laboratory record by the real-data protocol "
        "(docs/protocol.md). Writes scores.csv, predictions.csv and report.html; docs/formats.md lists all. "
        "After Ctrl-C, the same command goes on where it was stopped. Without --labels: spectra that bring "
        "their own target (spectm spectra), scored on groups held back; evaluation.seeds says how many "
        "pretrainings of each masking."
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
    add_data(parser, labels=False)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write; goes on with what a stopped run left there",
    )
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
    parser.add_argument(
        "--quick", action="store_true", help="leave-date-out, one seed, short pretraining, no ablations"
    )
    parser.add_argument("--models", metavar="NAME,...", help="only these models")
    parser.add_argument(
        "--foreign",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="table of spectra of other waters (CSV, Excel), to see what of them is flagged; may be repeated",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="also write the tables as Markdown, pictures to images beside it",
    )
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, and name what was written."""
    if args.labels is None:
        return evaluate_own(args)
    if args.model:
        return _score(args)
    if args.task:
        raise ConfigError("--task goes with --model; the tasks of the protocol are evaluation.tasks")
    settings = asked_for(args)
    data = read_data(args)
    foreign = [read_foreign(path) for path in args.foreign]
    given = (data.patches, data.labels, data.unlabelled, settings, args.out)
    provenance = {**data.provenance, "foreign": [path.name for path in args.foreign]}
    written = evaluate(*given, provenance=provenance, foreign=foreign)
    keep_settings(settings, args.out)
    if args.results:
        written += _write_results(args.out, args.results)
    print("wrote " + "\n      ".join(str(path) for path in written))
    return 0


def _write_results(folder: Path, path: Path) -> list[Path]:
    """The page of a run and its pictures."""
    images = {path.parent / "images" / name: one for name, one in results_images(folder).items()}
    for file, picture in images.items():
        write_bytes(file, picture.svg)
    write_text(path, _with_other_sections(results_page(folder), path))
    return [*images, path]


def _with_other_sections(page: str, path: Path) -> str:
    """The page, and what other commands wrote into the one that it replaces."""
    found = path.read_text(encoding="utf-8") if path.is_file() else ""
    return with_sections(page, sections_of(found))


def asked_for(args: argparse.Namespace) -> EvaluationSettings:
    """Settings, as ``--quick`` and ``--models`` change them."""
    settings = settings_from(args, EvaluationSettings)
    changes: dict[str, Any] = dict(QUICK) if args.quick else {}
    if args.quick and settings.evaluation.models == MODELS:
        # A third of the work: each has a pretraining of its own, and one seed of it says nothing.
        changes["models"] = tuple(name for name in MODELS if name not in ABLATIONS)
    if args.models:
        changes["models"] = tuple(name.strip() for name in args.models.split(","))
    settings = replace(settings, evaluation=replace(settings.evaluation, **changes))
    return shortened(settings) if args.quick else settings


def _score(args: argparse.Namespace) -> int:
    """Score a trained model; no setting of training has a part in it."""
    unused = [
        f"--{option}"
        for option in ("unlabelled", "quick", "models", "foreign", "results", "config", "set")
        if getattr(args, option)
    ]
    if unused:
        raise ConfigError(
            f"--model scores a model as it is: {', '.join(unused)} can't change it; leave it out"
        )
    model = load(args.model)
    data = read_data(args)
    scores, written = score_model(
        model,
        Path(args.model).resolve().name,
        data.patches,
        data.labels,
        args.out,
        tasks=args.task or TASKS,
        provenance=data.provenance,
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
