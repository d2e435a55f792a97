"""`khata deliveries show ID`: the equation of its rows, what is in quarantine and for whom, what the checks noted."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from khata.commands.clock import INDIA
from khata.commands.errors import CommandError
from khata.formats.text import plain_name
from khata.metering.models import Delivery
from khata.metering.queries import Failed, Noted, UnknownDeliveryError, delivery, findings_of, quarantined
from khata.metering.rules import read_rules

FIRST_LINES = 10
COUNTS = ("rows", "accepted", "repeated", "superseding", "quarantined")
_EXAMPLES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", type=_id, help="its number, as load and list tell it")


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a delivery")
    return int(text)


def run(args: argparse.Namespace) -> int:
    try:
        found = delivery(args.id)
    except UnknownDeliveryError as unknown:
        raise CommandError(str(unknown), "ID", "See the numbers with khata deliveries list") from None
    failed, noted = quarantined(found, first=FIRST_LINES), findings_of(found, first=_EXAMPLES)
    if args.json:
        sys.stdout.write(json.dumps({**as_json(found), **judged_as_json(failed, noted)}, ensure_ascii=False) + "\n")
        return 0
    name = f"{plain_name(found.name)} ({found.form})" if found.name else found.form
    lines = [
        f"delivery {found.id}: {name} from {found.sender.code}, received {moment(found)}, judged on {found.today}",
        equation(as_json(found)),
        *judged_as_text(failed, noted),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def as_json(found: Delivery) -> dict[str, Any]:
    return {
        "delivery": found.id,
        "sender": found.sender.code,
        "form": found.form,
        "name": plain_name(found.name),
        "size": found.size,
        "sha256": found.sha256,
        "received_at": moment(found),
        "today": found.today.isoformat(),
        **{name: getattr(found, name) for name in COUNTS},
    }


def judged_as_json(failed: list[Failed], noted: list[Noted]) -> dict[str, Any]:
    """The first lines of what is in quarantine; of what was noted only how often: it has meter numbers in it."""
    rules = read_rules()
    return {
        "failed": [{**asdict(each), "title": rules.title(each.rule, "en")} for each in failed],
        "findings": [{"rule": each.rule, "title": rules.title(each.rule, "en"), "count": each.count} for each in noted],
    }


def equation(counts: dict[str, Any]) -> str:
    """`3 rows = 1 accepted + 1 repeated + 0 superseding + 1 quarantined`"""
    rows, *others = (f"{counts[name]:,} {name}" for name in COUNTS)
    return f"{rows} = {' + '.join(others)}"


def judged_as_text(failed: list[Failed], noted: list[Noted]) -> Iterator[str]:
    rules = read_rules()
    for each in failed:
        where = ", ".join(map(str, each.lines)) + (" …" if each.count > len(each.lines) else "")
        title = rules.title(each.rule, "en")
        yield f"  {each.rule}  {title.rstrip('.')}; for the {each.owner} to act: {each.count:,}, line {where}"
        if each.reason != title:
            yield f"          e.g. {each.reason}"
        yield f"          next step: {rules.next_step(each.rule, 'en')}"
    if noted:
        yield "stored all the same, and noted:"
    for found in noted:
        yield f"  {found.rule}  {rules.title(found.rule, 'en')}: {found.count:,}"


def moment(found: Delivery) -> str:
    return found.received_at.astimezone(INDIA).isoformat(timespec="seconds")
