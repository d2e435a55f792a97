"""`khata deliveries load | list | show`: takes meter data in, and tells what became of it."""

import argparse

from khata.commands import deliveries_list, deliveries_load, deliveries_show
from khata.commands.main import CommandModule

_ACTIONS: dict[str, tuple[CommandModule, str]] = {
    "load": (deliveries_load, "take a file of meter data in, whole or not at all"),
    "list": (deliveries_list, "the last deliveries and what became of their rows"),
    "show": (deliveries_show, "what became of one delivery: its rows, what is in quarantine and for whom"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, (module, summary) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(action)
        action.add_argument("--json", action="store_true", help="counts of rows, ISO dates and times")


def run(args: argparse.Namespace) -> int:
    module, _ = _ACTIONS[args.action]
    return module.run(args)
