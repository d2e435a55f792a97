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
    text = f"khata: {where}: {what}." if where else f"khata: {what}."
    return f"{text}\nNext step: {next_step}." if next_step else text


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
    return None
