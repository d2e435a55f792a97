"""Which files made which bill: every text that ever rated a bill stays here under its hash, for the replay."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class File(models.Model):
    sha256 = models.TextField(primary_key=True)
    path = models.TextField()
    text = models.TextField()


class Edition(models.Model):
    """An order with the amendments known when it was published to this database."""

    order = models.TextField(help_text="path of the order below tariffs/")
    sha256 = models.TextField(unique=True)
    files = ArrayField(models.TextField(), help_text="hashes: the schedule, then the amendments in order")


class RateSchedule(models.Model):
    """A schedule of an edition; a bill part's amounts stand in the order of `lines`."""

    edition = models.ForeignKey(Edition, models.PROTECT)
    name = models.TextField()
    lines = ArrayField(models.TextField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "name"], name="rate_schedule_named_once")]
