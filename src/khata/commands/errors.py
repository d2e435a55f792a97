"""Errors as the command line tells them: what, where, the next step, in plain sentences."""

from dataclasses import dataclass


@dataclass(eq=False)
class CommandError(Exception):
    """The command cannot be done as asked. Sentences without a full stop."""

    what: str
    where: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        return told(self.what, self.where, self.next_step)


def told(what: str, where: str, next_step: str) -> str:
    """`khata: where: what.` and, on a line of its own, the next step."""
    text = f"khata: {_printable(where)}: {_ended(what)}" if where else f"khata: {_ended(what)}"
    return f"{text}\nNext step: {_ended(next_step)}" if next_step else text


def _printable(text: str) -> str:
    """Names of files come from outside: a terminal is not told what would command it."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


def explained(error: BaseException) -> str | None:
    """The text of an error that a user can do something about; None for one that is a fault of ours."""
    # lazy: needed only when something went wrong, and a good start stays quick
    from khata.formats.text import FormatError  # noqa: PLC0415
    from khata.kernel.yaml_text import OrderError  # noqa: PLC0415

    match error:
        case CommandError():
            return str(error)
        case FormatError():
            more = f" ({len(error.more)} more like this)" if error.more else ""
            return told(error.what + more, error.place, error.next_step)
        case OrderError():
            where = f"{error.file}, line {error.line}" + (f", {error.clause}" if error.clause else "")
            return told(error.what, where, error.next_step)
    if type(error).__name__ == "ServerError":  # of site, which stands above: known by name only
        return told(str(error).rstrip("."), "database", "Mend that, or set KHATA_DATABASE_URL to a server of your own")
    return _of_database(error)


def _of_database(error: BaseException) -> str | None:
    """Tables that are not there yet, and a server that cannot be reached. By name, as most commands load no Django."""
    if not type(error).__module__.startswith("django.db"):
        return None
    state = getattr(error.__cause__, "sqlstate", None)
    if state in ("42P01", "42703", "42883", "3F000"):  # no such table or the like: perhaps a fault of ours
        # lazy: it needs Django
        from khata.commands.database import NO_TABLES, wanting  # noqa: PLC0415

        missing = wanting()
        demo = ", or, after ./khata demo: export KHATA_DATABASE_NAME=khata_demo" if missing == NO_TABLES else ""
        return told(missing, "database", f"khata database migrate{demo}") if missing else None
    if type(error).__name__ == "OperationalError" and (state is None or state in ("3D000", "28000", "28P01")):
        said = " ".join(str(error).split()).rstrip(".?")
        return told(said, "database", "Check KHATA_DATABASE_URL, or unset it for the server that Khata keeps itself")
    return None
