"""Where the tariff orders are, and the orders in them: what all `khata tariff` commands begin with."""

import os
from pathlib import Path

from khata.commands.errors import CommandError
from khata.kernel.order import Order
from khata.tariffs.queries import (
    OrderFiles,
    TariffFolderError,
    UnknownDiscomError,
    order_files,
    orders_of,
    read_orders,
)


def folder(given: Path | None) -> Path:
    """The folder named on the command line, else by KHATA_TARIFFS, else `tariffs/` of the repository."""
    if given is not None:
        return given
    if named := os.environ.get("KHATA_TARIFFS"):
        return Path(named)
    for above in Path(__file__).resolve().parents:
        if (above / "pyproject.toml").is_file() and (above / "tariffs").is_dir():
            return above / "tariffs"
    raise CommandError("the folder of tariff orders was not found", "", "Name it with --tariffs or KHATA_TARIFFS")


def all_orders(given: Path | None) -> tuple[Order, ...]:
    try:
        return read_orders(folder(given))
    except TariffFolderError as error:
        raise CommandError(error.what, error.where, error.next_step) from None


def all_files(given: Path | None) -> tuple[OrderFiles, ...]:
    """The files of each order, not read yet: for whoever wants to hear of every mistake, not only of the first."""
    try:
        return order_files(folder(given))
    except TariffFolderError as error:
        raise CommandError(error.what, error.where, error.next_step) from None


def of_company(orders: tuple[Order, ...], discom: str) -> tuple[Order, ...]:
    try:
        return orders_of(orders, discom)
    except UnknownDiscomError as error:
        raise CommandError(str(error), "", "Name a company as the orders do") from None
