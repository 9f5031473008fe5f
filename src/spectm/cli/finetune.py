"""`spectm finetune`: a pretrained model, patches and a laboratory record in; a model of microcystin out."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spectm.cli.labelled import target_record, with_rows
from spectm.cli.options import (
    add_device,
    add_settings,
    fabric_from,
    keep_settings,
    read_sources,
    settings_from,
)
from spectm.cli.own import finetune_own
from spectm.cli.start import finetune_start
from spectm.data.context import CONTEXTS, Context
from spectm.data.labels import read_labels
from spectm.data.matchups import TASKS
from spectm.data.origin import SIMULATED, is_simulated
from spectm.errors import ConfigError
from spectm.evaluation.calibrated import calibrate_forecaster
from spectm.evaluation.protocol import earlier_years
from spectm.evaluation.task import build_task
from spectm.training.checkpoint import Checkpoint, check_bands, read_checkpoint
from spectm.training.finetune import RegressionData, finetune
from spectm.training.forecaster import train_forecaster
from spectm.training.pretrain import load_pretrained, model_parts
from spectm.training.released import save_forecaster
from spectm.training.settings import Settings

__all__ = ["add_arguments", "run"]


HEADS = ("blend", "network")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Pair patches with laboratory samples and train a model of microcystin. The default head is a blend "
        "of ridge regressions on embedding, reflectance and indices, with the climatology as prior and "
        "without; it answers for now and for days ahead, and carries its climatology with it. The other "
        "trains the whole network on a censored likelihood."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm finetune --pretrained runs/pretrained --patches pace_station_patches.nc --labels glerl/ "
        "--out runs/erie\n"
        "  spectm finetune --pretrained runs/pretrained --patches patches.nc --labels glerl/ --head network "
        "--task ahead --out runs/ahead\n"
        "  spectm finetune --start erie-2024 --patches mine.nc --labels mine.csv --out runs/mine"
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        default=[],
        action="append",
        metavar="DIR",
        help="of spectm pretrain; may be repeated, for an ensemble of blends",
    )
    parser.add_argument(
        "--start",
        metavar="NAME",
        help="in its place: a released model, or a folder of this command, whose estimates are kept as far "
        "as own samples do not correct them (docs/own-lake.md)",
    )
    parser.add_argument("--patches", type=Path, required=True, metavar="FILE", help="station patches, netCDF")
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="PATH",
        help="CSV file or folder; left out with spectra that bring their own target (spectm spectra)",
    )
    parser.add_argument("--head", choices=HEADS, default=HEADS[0], help="default: %(default)s")
    parser.add_argument("--task", choices=TASKS, help="of the network: now (default), or 8 days ahead")
    parser.add_argument(
        "--context",
        choices=CONTEXTS,
        help="of the network: what is given beside the spectrum (default: none)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint folder")
    parser.add_argument("--seed", type=int, metavar="N", help="of the network (default: 0)")
    parser.add_argument("--resume", action="store_true", help="continue a network's broken run in --out")
    add_settings(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say what was made."""
    if (args.start is None) == (not args.pretrained):
        found = "both" if args.pretrained else "neither"
        raise ConfigError(f"wanted either --pretrained DIR or --start NAME, found {found}. Give one of them.")
    if args.start is not None:
        _refuse_choices(args)
        return finetune_start(args)
    if args.head == "blend":
        return _blend(args)
    if args.labels is None:
        raise ConfigError("--head network wants a laboratory record, found none. Give --labels.")
    if len(args.pretrained) > 1:
        raise ConfigError("--head network starts from one pretrained model; give --pretrained once")
    return _network(args, args.pretrained[0], args.task or TASKS[0], args.context or "none")


def _blend(args: argparse.Namespace) -> int:
    """One model for now and for days ahead."""
    _refuse_network_options(args)
    checkpoints = [read_checkpoint(folder, kind="pretrained") for folder in args.pretrained]
    settings = _settings_of_all(args, checkpoints)
    if args.labels is None:
        return finetune_own(args, settings, checkpoints)
    (patches,), files = read_sources([args.patches])
    for checkpoint in checkpoints:
        check_bands(checkpoint.meta, patches.wavelength, where=patches.source)
    labels = read_labels(args.labels)
    tasks = {name: build_task(name, patches, labels) for name in TASKS}
    task = with_rows(args, tasks[TASKS[0]])
    print(f"{len(task.rows)} rows, {int(task.below.sum())} below detection; {labels.summary()}")
    keep_settings(settings, args.out)
    simulated = patches.simulated or any(is_simulated(c.meta["provenance"]) for c in checkpoints)
    model = train_forecaster(
        [load_pretrained(folder) for folder in args.pretrained],
        settings,
        patches,
        task.rows,
        task.y,
        earlier_years(patches, labels),
        {
            "files": files,
            "labels": args.labels.name,
            "pretrained": [checkpoint.meta["files"]["weights"] for checkpoint in checkpoints],
            "pretraining": [checkpoint.meta["provenance"] for checkpoint in checkpoints],
            SIMULATED: simulated,
            **target_record(task),
        },
    )
    model = calibrate_forecaster(model, patches, tasks)
    save_forecaster(model, args.out)
    print(f"wrote {args.out}")
    return 0


def _refuse_choices(args: argparse.Namespace) -> None:
    """With --start the model is settled but for what own samples teach."""
    if args.head != "blend" or args.labels is None:
        raise ConfigError("--start wants --labels, and no --head network: it tunes a blend. Change these.")
    if args.config or args.set:
        raise ConfigError("--start keeps the settings of the model; leave --config and --set out.")
    _refuse_network_options(args)


def _refuse_network_options(args: argparse.Namespace) -> None:
    """A blend has nothing to choose: what it would not listen to is not taken."""
    usual: dict[str, Any] = {"task": None, "context": None, "seed": None, "resume": False}
    usual |= {"processes": 1, "precision": "32-true"}
    given = [f"--{name}" for name, value in usual.items() if getattr(args, name) != value]
    if args.device not in ("auto", "cpu"):
        given.append(f"--device {args.device}")
    if settings_from(args, Settings).finetuning != Settings().finetuning:
        given.append("--set finetuning.*")
    if given:
        raise ConfigError(
            f"{given[0]} is an option of --head network; a blend has nothing to choose: it answers for now "
            "and for days ahead, knows the season, draws nothing and takes seconds on a processor"
        )


def _settings_of_all(args: argparse.Namespace, checkpoints: Sequence[Checkpoint]) -> Settings:
    """The settings that the models of an ensemble share."""
    settings = [_settings(args, one.folder, model_parts(one)[0]) for one in checkpoints]
    parts = [
        (one.windows, one.indices, one.masking, one.preprocess, one.encoder, one.objective)
        for one in settings
    ]
    if any(part != parts[0] for part in parts):
        other = next(i for i, part in enumerate(parts) if part != parts[0])
        raise ConfigError(
            "an ensemble wants models pretrained with the same windows, indices, masking, preprocess, "
            f"encoder and objective; {args.pretrained[0]} and {args.pretrained[other]} differ (see their "
            "settings.toml). Give those of one kind"
        )
    return settings[0]


def _network(args: argparse.Namespace, pretrained: Path, task_name: str, context: Context) -> int:
    """All weights, for one task and context."""
    checkpoint = read_checkpoint(pretrained, kind="pretrained")
    settings = _settings(args, pretrained, model_parts(checkpoint)[0])
    (patches,), provenance = read_sources([args.patches])
    check_bands(checkpoint.meta, patches.wavelength, where=patches.source)
    labels = read_labels(args.labels)
    task = with_rows(args, build_task(task_name, patches, labels))
    fabric = fabric_from(args)
    if fabric.is_global_zero:
        print(
            f"{task_name}: {len(task.rows)} rows, {int(task.below.sum())} below detection; {labels.summary()}"
        )
        if not args.resume:  # settings.toml stays that of the broken run, should these differ
            keep_settings(settings, args.out)
    data = RegressionData(
        Rrs=patches.Rrs[task.rows["patch"].to_numpy()],
        context=task.context(context),
        prior=None if context == "none" else task.climatology,
    )
    finetune(
        fabric,
        load_pretrained(pretrained),
        data,
        task.y,
        task.below,
        task.dates,
        settings,
        seed=args.seed or 0,
        folder=args.out,
        resume=args.resume,
        provenance={
            "files": provenance,
            "labels": args.labels.name,
            "pretrained": checkpoint.meta["files"]["weights"],
            SIMULATED: patches.simulated or is_simulated(checkpoint.meta["provenance"]),
            "task": task_name,
            "context": context,
            **target_record(task),
        },
        progress="fine-tuning",
    )
    if fabric.is_global_zero:
        print(f"wrote {args.out}")
    return 0


def _settings(args: argparse.Namespace, folder: Path, pretrained: Settings) -> Settings:
    """The model is what it was pretrained as; of the settings given now, those of fine-tuning count."""
    given = settings_from(args, Settings)
    for section in ("windows", "indices", "masking", "preprocess", "encoder", "objective"):
        asked, known = getattr(given, section), getattr(pretrained, section)
        if asked not in (known, getattr(Settings(), section)):
            raise ConfigError(
                f"{section} is part of the pretrained model and can't be changed now: {folder} has "
                f"{known}, asked for {asked}; pretrain again with these settings"
            )
    return replace(pretrained, finetuning=given.finetuning)
