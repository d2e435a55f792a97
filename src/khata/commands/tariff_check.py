"""`khata tariff check`: every order read strictly, its examples tried, and what nobody has reviewed said."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from khata.commands.tariff_orders import all_files
from khata.kernel.order import Order
from khata.kernel.reader import read_order
from khata.kernel.yaml_text import OrderError
from khata.tariffs.queries import OrderFiles, orders_of
from khata.tariffs.rules import misses, read_examples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


@dataclass
class Verdict:
    """What was found about one order; it passes if there are no errors."""

    path: str
    order: Order | None = None
    examples: int = 0
    errors: list[str] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    files = all_files(args.tariffs)
    verdicts = [_read(each) for each in files]
    orders = [verdict.order for verdict in verdicts if verdict.order]
    for each, verdict in zip(files, verdicts, strict=True):
        if verdict.order:
            verdict.errors += _misplaced(verdict.order, orders)
            _try_examples(each, verdict, verdict.order, orders)
    if args.json:
        sys.stdout.write(json.dumps([_as_json(verdict) for verdict in verdicts], ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(verdicts, len({a.path for each in files for a in each.amendments}))) + "\n")
    return 1 if any(verdict.errors for verdict in verdicts) else 0


def _read(files: OrderFiles) -> Verdict:
    """Schema, units, slabs and refs: the reader takes nothing less."""
    try:
        return Verdict(files.path, read_order(files.schedule, files.amendments))
    except OrderError as error:
        return Verdict(files.path, errors=[str(error)])


def _misplaced(order: Order, orders: Sequence[Order]) -> list[str]:
    wrong = []
    day = order.path.rsplit("/", 1)[-1].split("--")[0]
    if day != order.in_force.isoformat():
        wrong.append(f"the folder says {day}, the order is in force from {order.in_force}. Rename the folder")
    before = {other.path: other for other in orders}.get(order.supersedes or order.path)
    if before is None:
        wrong.append(f"it supersedes {order.supersedes}, which is not here. Add that order, or mend its path")
    elif before is not order and before.in_force >= order.in_force:
        wrong.append(f"it supersedes {before.path}, which does not begin before it. Mend the dates or the path")
    for other in orders:
        shared = set(order.discoms) & set(other.discoms)
        if other.path < order.path and other.in_force == order.in_force and shared:
            wrong.append(
                f"{other.path} begins on the same day for {', '.join(sorted(shared))}. Only one can be in force"
            )
    return wrong


def _try_examples(files: OrderFiles, verdict: Verdict, order: Order, orders: Sequence[Order]) -> None:
    if files.examples is None:
        return
    try:
        found = read_examples(files.examples)
    except OrderError as error:
        verdict.errors.append(str(error))
        return
    verdict.examples = len(found.examples)
    company = orders_of(orders, order.discoms[0])
    for example in found.examples:
        for miss in misses(example, found.tolerance_paise, company):
            verdict.errors.append(f"{example.at.file}, line {example.at.line}, {example.name}: {miss}")


def _as_text(verdicts: Sequence[Verdict], amendments: int) -> list[str]:
    lines = []
    for verdict in verdicts:
        lines.append(f"{'FAILED' if verdict.errors else 'ok':<7}{verdict.path}{_facts(verdict)}")
        lines += [f"       {error}" for error in verdict.errors]
    failed = sum(1 for verdict in verdicts if verdict.errors)
    tried = sum(verdict.examples for verdict in verdicts)
    unseen = sum(1 for verdict in verdicts if verdict.order and not verdict.order.reviewed_by)
    lines.append(
        f"{len(verdicts)} orders, {amendments} amendments, {tried} examples: "
        f"{f'{failed} orders failed' if failed else 'all pass'}; {unseen} orders not reviewed by anybody yet."
    )
    return lines


def _facts(verdict: Verdict) -> str:
    if verdict.order is None:
        return ""
    open_readings = [reading.id for reading in verdict.order.readings if reading.evidence != "A"]
    examples = f"{verdict.examples} examples" if verdict.examples else "no examples"
    reviewed = f"reviewed by {', '.join(verdict.order.reviewed_by)}" if verdict.order.reviewed_by else "not reviewed"
    return (
        f": {len(verdict.order.schedules)} schedules, {examples}, "
        f"{len(open_readings)} of {len(verdict.order.readings)} readings not on evidence A, {reviewed}"
    )


def _as_json(verdict: Verdict) -> dict[str, Any]:
    order = verdict.order
    return {
        "order": verdict.path,
        "ok": not verdict.errors,
        "errors": verdict.errors,
        "examples": verdict.examples,
        "sha256": order.sha256 if order else None,
        "reviewed_by": list(order.reviewed_by) if order else [],
        "readings_not_on_evidence_a": [each.id for each in order.readings if each.evidence != "A"] if order else [],
    }
