"""`spectm ablate`: patches and a laboratory record in; what each part of pretraining is worth out."""

import argparse

from spectm.cli.options import keep_settings
from spectm.cli.studies import add_study, note_of, read_study, record_of, write_page

__all__ = ["add_arguments", "run"]

QUICK_SEEDS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Change one thing in pretraining at a time (masking strategy, tasks, none at all) and compare with "
        "targeted masking and all tasks, leave-date-out, paired over seeds and dates. Writes ablation.csv, "
        "ablation.md and ablation.png. It takes hours: after Ctrl-C, the same command goes on."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm ablate --patches patches.nc --unlabelled pixels.nc --labels glerl/ --out runs/ablation\n"
        "  spectm ablate --patches patches.nc --labels labels.csv --out runs/quick --quick\n"
        "on a simulated lake, with the patches of its cube:\n"
        "  spectm ablate --patches runs/demo/stations.nc --unlabelled runs/demo/patches.nc "
        "--labels runs/demo/lake/laboratory --out runs/simulated"
    )
    add_study(parser, quick="two seeds, short pretraining: to see that it works")


def run(args: argparse.Namespace) -> int:
    """Ablate, print the page, and name what was written."""
    from spectm.evaluation.ablation import AblationConfig, ablate
    from spectm.evaluation.study_figures import draw_ablation
    from spectm.evaluation.study_pages import ablation_page

    usual = QUICK_SEEDS if args.quick else AblationConfig().seeds
    seeds = usual if args.seeds is None else args.seeds
    config = AblationConfig(seeds=seeds, workers=args.workers)
    settings, data = read_study(args)
    given = (data.patches, data.labels, data.unlabelled, settings, config, args.out)
    table = ablate(*given, identity=data.provenance)
    keep_settings(settings, args.out)
    record = record_of(args, data)
    page = ablation_page(table, record)
    pages = [args.out / "ablation.md", *([args.results] if args.results else [])]
    write_page(page, *pages)
    draw_ablation(table, args.out / "ablation.png", note=note_of(record))
    print(page)
    written = [args.out / "ablation.csv", args.out / "ablation.png", *pages]
    print("wrote " + "\n      ".join(map(str, written)))
    return 0
