"""`khata tariff price | explain | check | show`: the tariff orders, and what they make of a case."""

from pathlib import Path

from khata.commands import tariff_check, tariff_explain, tariff_price, tariff_show
from khata.commands.actions import Actions

_ACTIONS = Actions(
    {
        "price": (tariff_price, "price the cases of a CSV file"),
        "explain": (tariff_explain, "one case line by line: quantity, rate, amount, clause"),
        "check": (tariff_check, "read every order strictly and try its worked examples"),
        "show": (tariff_show, "an order as it is printed, with its clauses and readings"),
    },
    lambda action: action.add_argument(
        "--tariffs", type=Path, metavar="DIR", help="folder of the orders (else KHATA_TARIFFS, else tariffs/)"
    ),
)
add_arguments, run = _ACTIONS.add_arguments, _ACTIONS.run
