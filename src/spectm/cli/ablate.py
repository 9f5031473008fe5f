"""`spectm ablate`: patches and a laboratory record in; what each part of pretraining is worth out."""

import argparse
from pathlib import Path
from typing import Any

from spectm.cli.options import Data, keep_settings, read_sources
from spectm.cli.studies import add_study, note_of, publish, read_study, record_of, section_of
from spectm.data.patches import Patches
from spectm.errors import OriginError
from spectm.files import write_text

__all__ = ["add_arguments", "run"]

QUICK_SEEDS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Change one thing in pretraining at a time (masking strategy, tasks, none at all) and compare with "
        "targeted masking and all tasks, leave-date-out, paired over seeds and dates. With --simulated, "
        "compare the spectra pretrained on instead: real, simulated, both, none; with --try, other settings. "
        "Writes ablation.csv, ablation.md and ablation.png. It takes hours: after Ctrl-C, the same command "
        "goes on."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm ablate --patches patches.nc --unlabelled pixels.nc --labels glerl/ --out runs/ablation\n"
        "  spectm ablate --patches patches.nc --labels labels.csv --out runs/quick --quick\n"
        "on a simulated lake, with the patches of its cube:\n"
        "  spectm ablate --patches runs/demo/stations.nc --unlabelled runs/demo/patches.nc "
        "--labels runs/demo/lake/laboratory --out runs/simulated\n"
        "pretraining on spectra of a simulated lake beside real ones:\n"
        "  spectm ablate --patches patches.nc --unlabelled pixels.nc --simulated runs/demo/patches.nc "
        "--labels glerl/ --out runs/sources\n"
        "longer pretraining, and a larger encoder:\n"
        "  spectm ablate --patches patches.nc --unlabelled pixels.nc --labels glerl/ --out runs/settings "
        "--try pretraining.loop.steps=1000 --try 'encoder.width=128; encoder.depth=4'"
    )
    add_study(parser, quick="two seeds, short pretraining: to see that it works")
    parser.add_argument(
        "--simulated",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="patches of a simulated lake: compare sources of pretraining; may be repeated",
    )
    parser.add_argument(
        "--try",
        dest="tries",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="compare with other settings of pretraining, several of them with ';' between; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Ablate, print the page, and name what was written."""
    from spectm.evaluation.ablation import AblationConfig, ablate
    from spectm.evaluation.study_figures import draw_ablation
    from spectm.evaluation.study_pages import ablation_page

    usual = QUICK_SEEDS if args.quick else AblationConfig().seeds
    seeds = usual if args.seeds is None else args.seeds
    config = AblationConfig(seeds=seeds, workers=args.workers, tries=tuple(args.tries))
    settings, data = read_study(args)
    simulated, more = _simulated(args, data)
    given = (data.patches, data.labels, data.unlabelled, settings, config, args.out)
    table = ablate(*given, identity=data.provenance | more, simulated=simulated)
    keep_settings(settings, args.out)
    record = record_of(args, data) | more
    page = ablation_page(table, record)
    write_text(args.out / "ablation.md", page)
    draw_ablation(table, args.out / "ablation.png", note=note_of(record))
    usual_name = "pretraining-settings" if args.tries else "ablate"
    section = section_of("pretraining-sources" if simulated else usual_name, data)
    written = [args.out / f"ablation.{kind}" for kind in ("csv", "png", "md")]
    publish(page, section, written, args.results)
    return 0


def _simulated(args: argparse.Namespace, data: Data) -> tuple[list[Patches], dict[str, Any]]:
    """Patches of ``--simulated`` and their records, by the key that they have in ``study.json``."""
    if not args.simulated:
        return [], {}
    patches, records = read_sources(args.simulated)
    for record in data.provenance["files"]:
        if record["simulated"]:
            raise OriginError(
                f"{record['file']}: with --simulated, --patches and --unlabelled want real spectra; found "
                "simulated ones. Give simulated patches as --simulated, beside real ones; or leave "
                "--simulated out to compare maskings and tasks on a simulated lake"
            )
    for record in records:
        if not record["simulated"]:
            raise OriginError(
                f"{record['file']}: --simulated wants patches of a simulated lake; found spectra that don't "
                "say that they are simulated. Give real ones as --unlabelled; spectm simulate makes others"
            )
    return patches, {"simulated_files": records}
