"""`khata meterdays show | edit | substitute`: what is stored of a meter, and putting a day of it right."""

from khata.commands import meterdays_edit, meterdays_show, meterdays_substitute
from khata.commands.actions import Actions

_ACTIONS = Actions(
    {
        "show": (meterdays_show, "the half-hours of a meter's day, or its days of a month"),
        "edit": (meterdays_edit, "put other values in place of a day's, as an officer decided"),
        "substitute": (meterdays_substitute, "put another meter's day, or other values, in place of a day's"),
    },
    lambda action: action.add_argument("--json", action="store_true", help="energy in Wh, demand in W, ISO dates"),
)
add_arguments, run = _ACTIONS.add_arguments, _ACTIONS.run
