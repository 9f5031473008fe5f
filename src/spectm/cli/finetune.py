"""`spectm finetune`: a pretrained model, patches and a laboratory record in; a regressor out."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectm.cli.options import (
    add_device,
    add_settings,
    fabric_from,
    keep_settings,
    read_sources,
    settings_from,
)
from spectm.data.context import CONTEXTS
from spectm.data.labels import read_labels
from spectm.data.matchups import TASKS
from spectm.data.origin import SIMULATED, is_simulated
from spectm.errors import ConfigError, TrainingError
from spectm.evaluation.task import build_task
from spectm.training.checkpoint import check_bands, read_checkpoint
from spectm.training.finetune import RegressionData, finetune
from spectm.training.pretrain import load_pretrained, model_parts
from spectm.training.settings import Settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Pair patches with laboratory samples and train a censored regressor of microcystin on a pretrained "
        "model."
    )
    parser.epilog = (
        "example:\n"
        "  spectm finetune --pretrained runs/pretrained --patches pace_station_patches.nc --labels glerl/ "
        "--out runs/current"
    )
    parser.add_argument("--pretrained", type=Path, required=True, metavar="DIR", help="of spectm pretrain")
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="CSV file or folder")
    parser.add_argument(
        "--task", choices=TASKS, default="current", help="now, or 8 days ahead (default: current)"
    )
    parser.add_argument(
        "--context",
        choices=CONTEXTS,
        default="none",
        help="what is given beside the spectrum (default: none)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint folder")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--resume", action="store_true", help="continue a broken run in --out")
    add_settings(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say what was made."""
    checkpoint = read_checkpoint(args.pretrained, kind="pretrained")
    settings = _settings(args, model_parts(checkpoint)[0])
    (patches,), provenance = read_sources([args.patches])
    check_bands(checkpoint, patches.wavelength)
    labels = read_labels(args.labels)
    task = build_task(args.task, patches, labels)
    if len(task.rows) == 0:
        raise TrainingError(
            f"no laboratory sample of {args.labels} pairs with a patch of {args.patches}; "
            "are they of the same year?"
        )
    fabric = fabric_from(args)
    if fabric.is_global_zero:
        print(
            f"{args.task}: {len(task.rows)} rows, {int(task.below.sum())} below detection; {labels.summary()}"
        )
        if not args.resume:  # settings.toml stays that of the broken run, should these differ
            keep_settings(settings, args.out)
    data = RegressionData(
        Rrs=patches.Rrs[task.rows["patch"].to_numpy()],
        context=task.context(args.context),
        prior=None if args.context == "none" else task.climatology,
    )
    finetune(
        fabric,
        load_pretrained(args.pretrained),
        data,
        task.y,
        task.below,
        task.dates,
        settings,
        seed=args.seed,
        folder=args.out,
        resume=args.resume,
        provenance={
            "files": provenance,
            "labels": args.labels.name,
            "pretrained": checkpoint.meta["files"]["weights"],
            SIMULATED: patches.simulated or is_simulated(checkpoint.meta["provenance"]),
            "task": args.task,
            "context": args.context,
            "target": "particulate microcystin, ug L-1, log10",
            "detection_limit": 0.1,
            "n_rows": len(task.rows),
            "n_below_detection": int(np.sum(task.below)),
        },
        progress="fine-tuning",
    )
    if fabric.is_global_zero:
        print(f"wrote {args.out}")
    return 0


def _settings(args: argparse.Namespace, pretrained: Settings) -> Settings:
    """The model is what it was pretrained as; of the settings given now, those of fine-tuning count."""
    given = settings_from(args, Settings)
    for section in ("windows", "masking", "preprocess", "encoder", "objective"):
        asked, known = getattr(given, section), getattr(pretrained, section)
        if asked not in (known, getattr(Settings(), section)):
            raise ConfigError(
                f"{section} is part of the pretrained model and can't be changed now: {args.pretrained} has "
                f"{known}, asked for {asked}; pretrain again with these settings"
            )
    return replace(pretrained, finetuning=given.finetuning)
