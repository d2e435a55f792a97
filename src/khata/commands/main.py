"""`khata COMMAND …`: finds the command in one table, loads only that one, and tells errors in plain sentences."""

import argparse
import difflib
import importlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn, Protocol

from khata.commands.errors import CommandError, explained

DONE, CHECK_FAILED, BAD_INPUT = 0, 1, 2
_INTERRUPTED, _READER_GONE = 130, 141  # as shells count SIGINT and SIGPIPE


class Command(NamedTuple):
    """`database` says that the module's imports already need Django, which is then set up before them."""

    module: str
    summary: str
    database: bool = True


COMMANDS = {
    "bench": Command("khata.commands.bench", "a table of speeds and ratios, measured in one run", database=False),
    "bill": Command("khata.commands.bill", "run the bills of a cycle, show, replay or digest them"),
    "counter": Command("khata.commands.counter", "counters for cash: add one, set their limit, list them"),
    "database": Command("khata.commands.database", "make or renew the tables"),
    "deliveries": Command("khata.commands.deliveries", "take files of meter data in, show what became of them"),
    "demo": Command("khata.commands.demo", "a small Kanpur: real consumption, bills, books"),
    "ledger": Command("khata.commands.ledger", "verify the books, and the sum of each head"),
    "meterdays": Command("khata.commands.meterdays", "show what is stored of a meter, put a day of it right"),
    "migration": Command("khata.commands.migration", "move a company here from its old system, and back"),
    "notices": Command("khata.commands.notices", "send the messages that wait, show their registered texts"),
    "number": Command("khata.commands.number", "find the connection behind an account number, old or new"),
    "print": Command("khata.commands.print_bills", "the bills of a month as PDF files for a printer"),
    "senders": Command("khata.commands.senders", "who may send meter data by the network, and whose days it owes"),
    "serve": Command("khata.commands.serve", "the pages, and the work behind them"),
    "staff": Command("khata.commands.staff", "people of the desk: add one, give or end a post"),
    "tariff": Command(
        "khata.commands.tariff", "price cases, explain a price, check and show the orders", database=False
    ),
    "test": Command("khata.commands.testing", "prove that everything works", database=False),
    "usage": Command("khata.commands.usage", "what a connection used, day by day and by half-hours"),
    "vee": Command("khata.commands.vee", "who owes which half-hours; estimates for what nobody sent"),
    "work": Command("khata.commands.work", "send codes and messages, make released bills, until stopped"),
}


class CommandModule(Protocol):
    """What each module of the table offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """Says what is wrong and the next step, and knows what was probably meant."""

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        meant = near(found[1], re.findall(r"[^', ]+", found[2])) if found else ""
        next_step = f"Did you mean {meant}? Else see {self.prog} --help" if meant else f"See {self.prog} --help"
        sys.stderr.write(str(CommandError(message, self.prog, next_step)).removeprefix("khata: ") + "\n")
        sys.exit(BAD_INPUT)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Devanagari must not stop a command
    try:
        code = _started(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        text = explained(error)
        if text is None:
            raise
        sys.stderr.write(text + "\n")
        return BAD_INPUT
    return code


def _started(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return DONE if arguments else BAD_INPUT
    name, *rest = arguments
    if name == "--version":
        sys.stdout.write(f"khata {importlib.metadata.version('khata')}\n")
        return DONE
    if name not in COMMANDS:
        meant = near(name, COMMANDS)
        hint = f"Did you mean khata {meant}? " if meant else ""
        raise CommandError(f"there is no command {name!r}", "", f"{hint}Commands are: {', '.join(COMMANDS)}")
    if COMMANDS[name].database:
        _set_up_django()
    module: CommandModule = importlib.import_module(COMMANDS[name].module)
    parser = Parser(prog=f"khata {name}", description=COMMANDS[name].summary, allow_abbrev=False)
    module.add_arguments(parser)
    args = parser.parse_args(rest)
    return module.run(args)


def _set_up_django() -> None:
    # lazy: a third of a second, for which commands without a database need not wait
    import django  # noqa: PLC0415

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()


def near(word: str, known: Iterable[str]) -> str:
    """The known words that look like this one, joined by 'or'; empty for none."""
    return " or ".join(difflib.get_close_matches(word, list(known), n=2, cutoff=0.6))


def _help() -> str:
    lines = [f"  {name:<11}{command.summary}" for name, command in COMMANDS.items()]
    return "usage: khata COMMAND …\n\n" + "\n".join(lines) + "\n\nkhata COMMAND --help says more; khata --version.\n"
