"""Runs in resumable parts. Nothing is updated: what is done is said by a row that did not exist before."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Run(models.Model):
    """A planned piece of work. `key` names it for people and makes a second plan of the same work impossible."""

    kind = models.TextField()
    key = models.TextField(unique=True)
    terms = models.JSONField(help_text="everything the work depends on and that was decided when it was planned")
    planned_at = models.DateTimeField(db_default=Now())


class Part(models.Model):
    """Subjects worked on in one transaction; pinned when the run is planned."""

    run = models.ForeignKey(Run, models.PROTECT)
    number = models.IntegerField()
    subjects = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="part_numbered_once")]


class PartDone(models.Model):
    """Written as the last row of the part's own transaction, with the part's side of the equation."""

    part = models.OneToOneField(Part, models.PROTECT, primary_key=True)
    counts = models.JSONField()
    at = models.DateTimeField(db_default=Now())


class RunClosed(models.Model):
    """Written once all parts are done and the equation holds."""

    run = models.OneToOneField(Run, models.PROTECT, primary_key=True)
    equation = models.JSONField()
    at = models.DateTimeField(db_default=Now())
