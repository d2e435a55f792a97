"""`khata deliveries load | list | show`: takes meter data in, and tells what became of it."""

from khata.commands import deliveries_list, deliveries_load, deliveries_show
from khata.commands.actions import Actions

_ACTIONS = Actions(
    {
        "load": (deliveries_load, "take a file of meter data in, whole or not at all"),
        "list": (deliveries_list, "the last deliveries and what became of their rows"),
        "show": (deliveries_show, "what became of one delivery: its rows, what is in quarantine and for whom"),
    },
    lambda action: action.add_argument("--json", action="store_true", help="counts of rows, ISO dates and times"),
)
add_arguments, run = _ACTIONS.add_arguments, _ACTIONS.run
