"""What is left to do."""

from khata.jobs.models import Part, Run, RunClosed


def open_parts(run: Run) -> list[Part]:
    """Parts that are not done, in their order."""
    return list(Part.objects.filter(run=run, partdone=None).order_by("number"))


def find_run(key: str) -> Run | None:
    return Run.objects.filter(key=key).first()


def closed_equation(run: Run) -> dict[str, int] | None:
    closed = RunClosed.objects.filter(run=run).first()
    return closed.equation if closed else None
