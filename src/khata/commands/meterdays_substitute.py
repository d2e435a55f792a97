"""`khata meterdays substitute METER DATE`: the same day of a check meter, or values from elsewhere, for a day that the
meter measured wrongly or not at all."""

import argparse

from khata.commands import meterdays_edit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    meterdays_edit.add_place(parser)
    values = parser.add_mutually_exclusive_group(required=True)
    values.add_argument(
        "--from-meter", metavar="SERIAL", help="the same day of this meter, wholly measured, times nothing"
    )
    values.add_argument("--from", dest="file", metavar="FILE", help=meterdays_edit.FILE)
    meterdays_edit.add_people(parser)


def run(args: argparse.Namespace) -> int:
    return meterdays_edit.change(args, form="substitute", other=args.from_meter)
