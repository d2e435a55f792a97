"""`khata deliveries list`: the last ones, newest first."""

import argparse
import json
import sys

from khata.commands.deliveries_show import COUNTS, as_json, moment
from khata.formats.text import plain_name
from khata.metering.queries import deliveries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many at most (20)")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    found = deliveries(limit=args.limit)
    if args.json:
        sys.stdout.write(json.dumps({"deliveries": [as_json(each) for each in found]}, ensure_ascii=False) + "\n")
        return 0
    for each in found:
        counts = "  ".join(f"{getattr(each, name):>9,} {name}" for name in COUNTS)
        name = plain_name(each.name)
        sys.stdout.write(f"{each.id:>6}  {moment(each)}  {each.sender.code:<12}  {each.form:<10}  {counts}  {name}\n")
    if not found:
        sys.stdout.write("no delivery has been received yet; khata deliveries load FILE takes one in\n")
    return 0
