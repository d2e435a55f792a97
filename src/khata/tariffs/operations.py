"""Publishes orders into the database, so that what they made can be replayed when the files have changed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from khata.kernel.order import Order
from khata.kernel.reader import SourceFile
from khata.tariffs.models import Edition, File, RateSchedule


@dataclass(frozen=True)
class Published:
    """An edition and the ids of its schedules by name."""

    edition: int
    schedules: dict[str, int]


@transaction.atomic
def publish(*, order: Order, files: Sequence[SourceFile]) -> Published:
    """Store an order with its amendments under its hash, once."""
    edition, made = Edition.objects.get_or_create(
        sha256=order.sha256, defaults={"order": order.path, "files": [_store(file) for file in files]}
    )
    if made:
        RateSchedule.objects.bulk_create(
            RateSchedule(edition=edition, name=schedule.name, lines=list(schedule.line_ids))
            for schedule in order.schedules
        )
    return Published(edition.id, dict(RateSchedule.objects.filter(edition=edition).values_list("name", "id")))


def _store(file: SourceFile) -> str:
    sha256 = hashlib.sha256(file.text.encode()).hexdigest()
    File.objects.get_or_create(sha256=sha256, defaults={"path": file.path, "text": file.text})
    return sha256
