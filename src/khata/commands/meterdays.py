"""`khata meterdays show`: what is stored of a meter."""

import argparse

from khata.commands import meterdays_show
from khata.commands.main import CommandModule

_ACTIONS: dict[str, tuple[CommandModule, str]] = {
    "show": (meterdays_show, "the half-hours of a meter's day, or its days of a month"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, (module, summary) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(action)
        action.add_argument("--json", action="store_true", help="energy in Wh, demand in W, ISO dates")


def run(args: argparse.Namespace) -> int:
    module, _ = _ACTIONS[args.action]
    return module.run(args)
