"""`khata tariff price | explain | check | show`: the tariff orders, and what they make of a case."""

import argparse
from pathlib import Path

from khata.commands import tariff_check, tariff_explain, tariff_price, tariff_show
from khata.commands.main import CommandModule

_ACTIONS: dict[str, tuple[CommandModule, str]] = {
    "price": (tariff_price, "price the cases of a CSV file"),
    "explain": (tariff_explain, "one case line by line: quantity, rate, amount, clause"),
    "check": (tariff_check, "read every order strictly and try its worked examples"),
    "show": (tariff_show, "an order as it is printed, with its clauses and readings"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, (module, summary) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(action)
        action.add_argument(
            "--tariffs", type=Path, metavar="DIR", help="folder of the orders (else KHATA_TARIFFS, else tariffs/)"
        )


def run(args: argparse.Namespace) -> int:
    module, _ = _ACTIONS[args.action]
    return module.run(args)
