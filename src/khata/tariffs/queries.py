"""Reads of the tariff orders: the files under one folder, `regulator/first-day--order/schedule.yaml` and amendments."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from khata.display.sources import ReadingWords
from khata.kernel.order import Order
from khata.kernel.reader import SourceFile, amended_orders, read_order
from khata.kernel.yaml_text import OrderError, parse

SCHEDULE, AMENDMENT, EXAMPLES = "schedule.yaml", "amendment.yaml", "examples.yaml"
HINDI = "words.hi.yaml"  # beside the orders of a regulator


class TariffFolderError(LookupError):
    """The folder of orders is not as it must be: what, where, the next step."""

    def __init__(self, what: str, where: str, next_step: str) -> None:
        self.what, self.where, self.next_step = what, where, next_step
        super().__init__(f"{where}: {what}. {next_step}")


class UnknownDiscomError(KeyError):
    """No order names this company; `known` are those that orders name."""

    def __init__(self, discom: str, known: tuple[str, ...]) -> None:
        self.discom, self.known = discom, known
        super().__init__(discom)

    def __str__(self) -> str:
        return f"no tariff order names the company {self.discom!r}; orders name {', '.join(self.known) or 'none'}"


@dataclass(frozen=True)
class OrderFiles:
    """The texts one order is made of; `examples` stand beside its schedule where there are any."""

    schedule: SourceFile
    amendments: tuple[SourceFile, ...]
    examples: SourceFile | None

    @property
    def path(self) -> str:
        return _folder(self.schedule)

    @property
    def sources(self) -> tuple[SourceFile, ...]:
        """The schedule, then its amendments in the order in which they are applied."""
        return (self.schedule, *self.amendments)


def read_orders(root: Path) -> tuple[Order, ...]:
    """Every order below `root`, in folder order, its amendments applied. Raises OrderError or TariffFolderError."""
    return tuple(read_files(files) for files in order_files(root))


def read_files(files: OrderFiles) -> Order:
    """One order with its amendments applied. Raises OrderError."""
    return _order(files.sources)


@functools.lru_cache(maxsize=64)
def _order(sources: tuple[SourceFile, ...]) -> Order:
    """The same texts are the same order: a process reads them once."""
    return read_order(sources[0], sources[1:])


def orders_of(orders: Sequence[Order], discom: str) -> tuple[Order, ...]:
    """The orders of one company, rising by their first day in force. Raises UnknownDiscomError."""
    found = sorted((order for order in orders if discom in order.discoms), key=lambda order: order.in_force)
    if not found:
        raise UnknownDiscomError(discom, tuple(sorted({name for order in orders for name in order.discoms})))
    return tuple(found)


def order_files(root: Path) -> tuple[OrderFiles, ...]:
    """The files of each order below `root`, in folder order; the orders themselves are not read yet."""
    if not root.is_dir():
        raise TariffFolderError("there is no such folder", str(root), "Name the folder that holds the tariff orders")
    schedules, amendments = [], []
    for folder in sorted(_subfolders(root)):
        if (folder / SCHEDULE).is_file():
            schedules.append(_source(root, folder / SCHEDULE))
        elif (folder / AMENDMENT).is_file():
            amendments.append(_source(root, folder / AMENDMENT))
        else:
            wrong = f"the folder has neither {SCHEDULE} nor {AMENDMENT}"
            raise TariffFolderError(wrong, str(folder), "Add the file, or remove the folder")
    if not schedules:
        wrong = f"there is no order: no regulator/order/{SCHEDULE} below it"
        raise TariffFolderError(wrong, str(root), "Name the folder that holds the tariff orders")
    amended = {amendment.path: _amended(amendment, schedules) for amendment in amendments}
    return tuple(_files(root, schedule, amendments, amended) for schedule in schedules)


def reading_words(root: Path, order: str) -> ReadingWords:
    """What the readings of this order and of its regulator's others say in Hindi; nothing where nobody wrote it down.

    Raises OrderError.
    """
    path = root / order.split("/", maxsplit=1)[0] / HINDI
    return _words(root, path, path.stat().st_mtime_ns) if path.is_file() else ReadingWords(())


@functools.lru_cache(maxsize=16)
def _words(root: Path, path: Path, _changed: int) -> ReadingWords:
    file = _source(root, path)
    top = parse(file.path, file.text)
    rows = top.take("readings").items
    pairs = [(row.take("en").text, row.take("hi").text) for row in rows]
    for node in (top, *rows):
        node.done()
    try:
        return ReadingWords(pairs)
    except ValueError as twice:
        raise top.error(str(twice), "Write one of them out") from None


def _files(
    root: Path, schedule: SourceFile, amendments: list[SourceFile], amended: dict[str, tuple[str, ...]]
) -> OrderFiles:
    own = tuple(amendment for amendment in amendments if _folder(schedule) in amended[amendment.path])
    examples = root / _folder(schedule) / EXAMPLES
    return OrderFiles(schedule, own, _source(root, examples) if examples.is_file() else None)


def _amended(amendment: SourceFile, schedules: list[SourceFile]) -> tuple[str, ...]:
    """The orders an amendment names; one that is not here is an error, else its figure would be lost in silence."""
    known = [_folder(schedule) for schedule in schedules]
    named = amended_orders(amendment)
    for path in named:
        if path not in known:
            amends = parse(amendment.path, amendment.text).take("amendment").take("amends")
            raise amends.error(f"there is no order {path!r} to amend", f"Orders are: {', '.join(known)}")
    return named


def _subfolders(root: Path) -> list[Path]:
    hidden = (".", "_")
    return [
        folder
        for folder in root.glob("*/*")
        if folder.is_dir() and not folder.name.startswith(hidden) and not folder.parent.name.startswith(hidden)
    ]


def _source(root: Path, path: Path) -> SourceFile:
    name = path.relative_to(root).as_posix()
    raw = path.read_bytes()
    try:
        return SourceFile(name, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise OrderError(name, line, "", "the file is not UTF-8 text", "Save it as UTF-8") from None


def _folder(file: SourceFile) -> str:
    return file.path.rsplit("/", 1)[0]


@dataclass(frozen=True)
class PublishedOrders:
    """Orders as published to the database, rising by first day: what a run pins, and what its replay reads again."""

    orders: tuple[Order, ...]
    schedules: dict[tuple[str, str], int]  # (order's hash, schedule) → id

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({schedule.match.category for order in self.orders for schedule in order.schedules}))

    @property
    def areas(self) -> tuple[str, ...]:
        matches = (schedule.match for order in self.orders for schedule in order.schedules)
        return tuple(sorted({match.area for match in matches if match.area}))


def published_orders(editions: Sequence[int]) -> PublishedOrders:
    """The orders of some editions, from the texts that the database keeps."""
    # lazy: the orders in the folder are read without Django, too
    from khata.tariffs.models import Edition, File, RateSchedule  # noqa: PLC0415

    orders, schedules = [], {}
    for edition in Edition.objects.filter(id__in=editions):
        texts = {
            file.sha256: SourceFile(file.path, file.text) for file in File.objects.filter(sha256__in=edition.files)
        }
        order = _order(tuple(texts[sha256] for sha256 in edition.files))
        orders.append(order)
        for name, number in RateSchedule.objects.filter(edition=edition).values_list("name", "id"):
            schedules[order.sha256, name] = number
    return PublishedOrders(tuple(sorted(orders, key=lambda order: order.in_force)), schedules)
