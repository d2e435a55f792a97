"""What is left to do."""

from dataclasses import dataclass

from django.db.models import Func

from khata.jobs.models import Part, Run, RunClosed


@dataclass(frozen=True)
class OpenPart:
    id: int
    size: int


def open_parts(run: Run) -> list[OpenPart]:
    """Parts that are not done, in their order; whom they work on is read when they are worked."""
    parts = Part.objects.filter(run=run, partdone=None).order_by("number")
    return [OpenPart(*row) for row in parts.values_list("id", Func("subjects", function="cardinality"))]


def find_run(key: str) -> Run | None:
    return Run.objects.filter(key=key).first()


def closed_equation(run: Run) -> dict[str, int] | None:
    closed = RunClosed.objects.filter(run=run).first()
    return closed.equation if closed else None
