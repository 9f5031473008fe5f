"""`spectm pretrain`: unlabelled patches in, a checkpoint folder out."""

import argparse
from pathlib import Path

from spectm.cli.options import (
    add_device,
    add_settings,
    fabric_from,
    keep_settings,
    may_compile,
    read_sources,
    settings_from,
)
from spectm.model.masking import mask_summary
from spectm.training.pretrain import layout_for, pretrain
from spectm.training.settings import Settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Train SpecTM on unlabelled patches to infer hidden bands, indices and the state ahead."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm pretrain --patches pace_station_patches.nc --patches pace_pixels.nc --out runs/pretrained\n"
        "  spectm pretrain --patches patches.nc --out runs/guarded --set masking.guard_nm=5 --resume"
    )
    parser.add_argument(
        "--patches", type=Path, action="append", required=True, metavar="FILE", help="netCDF; may be repeated"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint folder")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--resume", action="store_true", help="continue a broken run in --out")
    parser.add_argument(
        "--compile", action="store_true", help="compile the model first: pays off in runs of hours only"
    )
    add_settings(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say what was made."""
    settings = settings_from(args, Settings)
    sources, provenance = read_sources(args.patches)
    fabric = fabric_from(args)
    if fabric.is_global_zero:
        print(mask_summary(layout_for(settings, sources[0].wavelength), settings.masking))
        if not args.resume:  # settings.toml stays that of the broken run, should these differ
            keep_settings(settings, args.out)
    trained = pretrain(
        fabric,
        sources,
        settings,
        seed=args.seed,
        folder=args.out,
        resume=args.resume,
        provenance={"files": provenance},
        progress="pretraining",
        compiled=may_compile(args),
    )
    if fabric.is_global_zero:
        state = trained.state
        best = f"best validation loss {state.best_loss:.4g} at step {state.best_step}"
        print(
            f"{trained.n_training} training and {trained.n_validation} validation spectra, {state.step} "
            f"steps; {best if trained.n_validation else 'no date was left for validation'}\nwrote {args.out}"
        )
    return 0
