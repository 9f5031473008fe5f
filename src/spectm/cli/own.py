"""What finetune, evaluate, predict and explain do with spectra that bring a target of their own."""

import argparse
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spectm.apps.columns import estimate_columns, flag_columns
from spectm.cli.options import keep_settings, settings_from, shortened, source_record
from spectm.cli.studies import publish
from spectm.data.origin import SIMULATED, is_simulated
from spectm.data.patches import Patches, read_patches
from spectm.data.spectra_file import read_spectra
from spectm.errors import ConfigError, SpectraError
from spectm.evaluation.attributed import mean_attribution
from spectm.evaluation.hidden_windows import mean_occlusion
from spectm.evaluation.model_explanation_page import write_model_explanation
from spectm.evaluation.own_explanation import caveat_of, explain_own
from spectm.evaluation.own_page import draw_own, own_page
from spectm.evaluation.own_target import OwnConfig, compare_own
from spectm.evaluation.results import write_table
from spectm.evaluation.run import EvaluationSettings
from spectm.files import write_text
from spectm.training.checkpoint import Checkpoint, check_bands
from spectm.training.pretrain import load_pretrained
from spectm.training.settings import Settings
from spectm.training.spectral_model import (
    fingerprints,
    save_spectral_model,
    spectral_model_of,
    train_spectral_model,
)

__all__ = ["evaluate_own", "explain_own_target", "finetune_own", "predict_own"]

QUICK = {"seeds": 2, "folds": 3}


def finetune_own(args: argparse.Namespace, settings: Settings, checkpoints: list[Checkpoint]) -> int:
    """Train, calibrate and save a model of the target that the file brings."""
    spectra = read_spectra(args.patches)
    for checkpoint in checkpoints:
        check_bands(checkpoint.meta, spectra.patches.wavelength, where=spectra.patches.source)
    files = [source_record(args.patches, spectra.patches)]
    target, rows = spectra.target, spectra.labelled
    print(f"{target.name}: {rows.size} spectra, {int(spectra.below[rows].sum())} below detection")
    keep_settings(settings, args.out)
    simulated = spectra.patches.simulated or any(is_simulated(c.meta["provenance"]) for c in checkpoints)
    model = train_spectral_model(
        [load_pretrained(folder) for folder in args.pretrained],
        settings,
        spectra,
        {
            "files": files,
            "pretrained": [checkpoint.meta["files"]["weights"] for checkpoint in checkpoints],
            "pretraining": [checkpoint.meta["provenance"] for checkpoint in checkpoints],
            SIMULATED: simulated,
            "target": f"{target.name}, {target.unit}, log10",
            "detection_limit": target.detection_limit,
            "n_rows": int(rows.size),
        },
    )
    save_spectral_model(model, args.out)
    print(f"wrote {args.out}")
    return 0


def predict_own(args: argparse.Namespace, checkpoint: Checkpoint) -> int:
    """A line for each spectrum."""
    if args.profile:
        raise ConfigError(
            "--profile is of microcystin; a model of one's own target gives the thresholds of its "
            "description (target.thresholds)"
        )
    if args.resample:
        raise ConfigError("--resample is of models of water: give spectra on the bands of the model")
    model = spectral_model_of(checkpoint)
    patches, names = _read_any(args.patches)
    estimate, flags = model.predict(patches)
    learned = np.isin(fingerprints(patches), model.meta["fingerprints"])
    seen = np.isfinite(estimate.mean)
    origin = ["simulated spectra"] * patches.simulated
    origin += ["model of simulated data"] * is_simulated(model.meta["provenance"])
    table = pd.DataFrame(
        {
            "sample": names,
            "group": patches.station,
            **estimate_columns(estimate, model.target.thresholds, name="estimate", unit=""),
            **flag_columns(flags, seen),
            "note": [
                "; ".join(
                    [*(["learned from"] * bool(known)), *([] if whole else ["incomplete spectrum"]), *origin]
                )
                for known, whole in zip(learned, seen, strict=True)
            ],
            "about": f"{model.target.name}, {model.target.unit}",
        }
    )
    write_table(table, args.out)
    if origin:
        print(f"note: {'; '.join(origin)}", file=sys.stderr)
    flagged = int((flags.flagged & seen).sum())
    print(f"{int(seen.sum())} of {len(table)} spectra estimated, {flagged} flagged\nwrote {args.out}")
    return 0


def evaluate_own(args: argparse.Namespace) -> int:
    """Score models of the target that the file brings, and compare maskings."""
    unused = [
        f"--{name}" for name in ("unlabelled", "models", "foreign", "model", "task") if getattr(args, name)
    ]
    if unused:
        raise ConfigError(
            f"{unused[0]} is of patches with a laboratory record: give --labels, or leave it out"
        )
    settings = settings_from(args, EvaluationSettings)
    settings = shortened(settings) if args.quick else settings
    spectra = read_spectra(args.patches)
    files = [source_record(args.patches, spectra.patches)]
    asked = QUICK if args.quick else {"seeds": settings.evaluation.seeds}
    config = OwnConfig(**asked, workers=settings.evaluation.workers)
    found = compare_own(spectra, _of_models(settings), config, args.out, identity={"files": files})
    keep_settings(settings, args.out)
    record = {"command": _command(args), "quick": args.quick}
    page = own_page(spectra, found.scores, found.differences, record)
    write_text(args.out / "report.md", page)
    draw_own(found.predictions, spectra, args.out / "estimates.png")
    names = ["scores.csv", "differences.csv", "predictions.csv", "report.md", "estimates.png"]
    section = re.sub(r"[^\w-]+", "-", args.patches.stem)
    publish(page, section, [args.out / name for name in names], args.results)
    return 0


def explain_own_target(args: argparse.Namespace, checkpoint: Checkpoint) -> int:
    """The page of one spectrum, or of the whole model."""
    model, spectra = spectral_model_of(checkpoint), read_spectra(args.patches)
    check_bands(model.meta, spectra.patches.wavelength, where=args.patches)
    name, file = Path(args.model).name, args.patches.name
    if args.whole_model == (args.sample is not None):
        raise ConfigError("wanted --sample NAME, or --whole-model, of a model of one's own target")
    if args.whole_model:
        mean = mean_attribution(model, spectra.patches)
        caveat = caveat_of(model.target)
        given = (mean, mean_occlusion(model, spectra.patches), None, model, spectra.patches, args.out)
        write_model_explanation(*given, name=name, file=file, caveat=caveat)
        print(f"{mean.n_patches} spectra; attribution incomplete for {mean.n_incomplete}")
    else:
        parts = explain_own(model, spectra, args.sample, args.out, name=name, file=file)
        level = 10 ** (model.meta["mean_log10"] + sum(part.change for part in parts))
        print(f"{args.sample}: {level:.3g} {model.target.unit}")
        print("\n".join(f"{part.change:+.3f}  {part.name}" for part in parts))
    print(f"wrote {args.out}")
    return 0


def _of_models(settings: EvaluationSettings) -> Settings:
    """Without the section of a comparison, which is no part of a model."""
    return Settings(**{one.name: getattr(settings, one.name) for one in fields(Settings)})


def _command(args: argparse.Namespace) -> str:
    """What was typed, folders left out."""
    words = ["spectm", "evaluate", "--patches", args.patches.name, "--out", "DIR"]
    words += ["--config", args.config.name] if args.config else []
    words += [word for one in args.set for word in ("--set", one)]
    return shlex.join([*words, "--quick"] if args.quick else words)


def _read_any(path: Path) -> tuple[Patches, Any]:
    """Spectra of a file and their names; of patches of water, their numbers."""
    try:
        spectra = read_spectra(path)
    except SpectraError:
        patches = read_patches(path)
        return patches, np.array([str(number) for number in range(patches.n_samples)])
    return spectra.patches, spectra.sample
