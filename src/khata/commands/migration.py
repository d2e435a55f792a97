"""`khata migration VERB …`: moving a company onto the central server. Each verb's module is found in one table."""

import argparse
import importlib
import sys
from typing import Protocol

from khata.commands.main import BAD_INPUT, Parser

# In the order in which a move goes.
MODULES = {
    **dict.fromkeys(("profile", "load", "status", "exceptions", "rules"), "khata.commands.migration_intake"),
    "reconcile": "khata.commands.migration_cutover",
    "parallel": "khata.commands.migration_parallel",
    **dict.fromkeys(("cutover", "rollback"), "khata.commands.migration_cutover"),
    **dict.fromkeys(("lists", "slips", "told"), "khata.commands.migration_telling"),
}


class VerbModule(Protocol):
    """What each module of the table offers: the summaries of its verbs, their arguments, their work."""

    VERBS: dict[str, str]

    def add_arguments(self, verb: str, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", choices=list(MODULES), metavar="|".join(MODULES), help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="…", help="khata migration VERB --help says more")


def run(args: argparse.Namespace) -> int:
    if args.verb is None:
        sys.stdout.write("".join(f"  {verb:<12}{_module(verb).VERBS[verb]}\n" for verb in MODULES))
        return BAD_INPUT
    module = _module(args.verb)
    parser = Parser(prog=f"khata migration {args.verb}", description=module.VERBS[args.verb], allow_abbrev=False)
    module.add_arguments(args.verb, parser)
    parser.set_defaults(verb=args.verb)
    return module.run(parser.parse_args(args.rest))


def _module(verb: str) -> VerbModule:
    module: VerbModule = importlib.import_module(MODULES[verb])
    return module
