"""`spectm transfer`: patches and a laboratory record in; what other band lists cost out."""

import argparse

from spectm.cli.options import keep_settings
from spectm.cli.studies import add_study, publish, read_study, record_of
from spectm.files import write_text

__all__ = ["add_arguments", "run"]

SEEDS, QUICK_SEEDS = 3, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "Simulate sensors with fewer or wider bands from the patches, and score the model on them, "
        "leave-date-out: as it is, on spectra resampled to its bands, and trained anew. Each is compared "
        "with the model on the patches' own bands, paired over seeds and dates. Writes transfer.csv and "
        "transfer.md; about ten minutes on two cores. After Ctrl-C, the same command goes on."
    )
    parser.epilog = (
        "examples:\n"
        "  spectm transfer --patches patches.nc --unlabelled pixels.nc --labels glerl/ --out runs/transfer\n"
        "  spectm transfer --patches patches.nc --labels labels.csv --out runs/quick --quick "
        "--lists sentinel-3-olci,sentinel-2-msi"
    )
    add_study(parser, quick="one seed, short pretraining: to see that it works", seeds=SEEDS)
    parser.add_argument(
        "--lists", metavar="NAME,...", help="band lists: named sensors (default: five, 122 bands to 5)"
    )


def run(args: argparse.Namespace) -> int:
    """Move, train anew, print the page, and name what was written."""
    from spectm.evaluation.transfer import LISTS, TransferConfig, describe_lists, source_of, transfer
    from spectm.evaluation.transfer_page import transfer_page

    usual = QUICK_SEEDS if args.quick else SEEDS
    lists = LISTS if args.lists is None else tuple(name.strip() for name in args.lists.split(","))
    seeds = usual if args.seeds is None else args.seeds
    config = TransferConfig(seeds=seeds, workers=args.workers, lists=lists)
    settings, data = read_study(args)
    given = (data.patches, data.labels, data.unlabelled, settings, config, args.out)
    table = transfer(*given, identity=data.provenance)
    keep_settings(settings, args.out)
    described = describe_lists(source_of(data.patches), lists, settings)
    page = transfer_page(table, described, record_of(args, data))
    write_text(args.out / "transfer.md", page)
    publish(page, "transfer", [args.out / "transfer.csv", args.out / "transfer.md"], args.results)
    return 0
