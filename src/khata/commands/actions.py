"""A command of several actions, each a module of its own: `khata deliveries load`, `khata tariff check`."""

import argparse
from collections.abc import Callable, Mapping

from khata.commands.main import CommandModule


class Actions:
    """Actions by name, each a module and what it does; `common` adds the arguments that all of them take."""

    def __init__(
        self, actions: Mapping[str, tuple[CommandModule, str]], common: Callable[[argparse.ArgumentParser], object]
    ) -> None:
        self._actions, self._common = actions, common

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(self._actions))
        for name, (module, summary) in self._actions.items():
            action = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
            module.add_arguments(action)
            self._common(action)

    def run(self, args: argparse.Namespace) -> int:
        module, _ = self._actions[args.action]
        return module.run(args)
