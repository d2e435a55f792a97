"""Meters, where they hang, what they showed. Registers in Wh, demand in W; days are IST dates."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from khata.consumers.models import Connection
from khata.discoms.models import Discom


class Meter(models.Model):
    serial = models.TextField()
    discom = models.ForeignKey(Discom, models.PROTECT, db_constraint=False, db_index=False)
    smart = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["serial"], name="meter_serial_once")]


class ReadingCycle(models.Model):
    """When meters that are not smart are read: on this day of every month, or of every second one."""

    discom = models.ForeignKey(Discom, models.PROTECT)
    code = models.TextField()
    read_day = models.SmallIntegerField()
    every_months = models.SmallIntegerField(default=1)
    first_month = models.DateField(help_text="first day of a month in which it is read")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["discom", "code"], name="reading_cycle_coded_once"),
            models.CheckConstraint(condition=Q(read_day__range=(1, 28)), name="reading_cycle_day"),
            models.CheckConstraint(condition=Q(every_months__in=[1, 2]), name="reading_cycle_months"),
        ]


class Installation(models.Model):
    """Which meter a connection has from a day on (none: taken away): a dated fact, never edited."""

    connection = models.ForeignKey(
        Connection, models.PROTECT, db_constraint=False, db_index=False
    )  # installation_dated_once begins with it
    from_date = models.DateField()
    revision = models.SmallIntegerField(default=0)
    known_at = models.DateTimeField()
    factor = models.IntegerField(
        db_default=1, help_text="what the dial shows, times this, is the energy; registers here are after it"
    )
    meter = models.ForeignKey(Meter, models.PROTECT, db_constraint=False, null=True)
    cycle = models.ForeignKey(ReadingCycle, models.PROTECT, db_constraint=False, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "from_date", "revision"], name="installation_dated_once")
        ]


class Reading(models.Model):
    """The register at the beginning of `day`, as read on the spot; demand since the reading before."""

    pk = models.CompositePrimaryKey("meter_id", "day", "revision")
    meter = models.ForeignKey(Meter, models.PROTECT, db_constraint=False, db_index=False)  # the key begins with it
    day = models.DateField()
    revision = models.SmallIntegerField(default=0)
    register_wh = models.BigIntegerField()
    demand_w = models.IntegerField()
    source = models.TextField(help_text="reader, final, initial, migration")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(register_wh__gte=0) & Q(demand_w__gte=0), name="reading_not_negative")
        ]
        indexes = [models.Index(fields=["meter", "day"], condition=Q(source="migration"), name="reading_brought")]


class MeterDay(models.Model):
    """One IST day of a smart meter: 48 half-hours or none, total, register at the day's end, maximum demand.

    Partitioned by month of `day`; made by SQL in the first migration. A correction adds a revision.
    """

    pk = models.CompositePrimaryKey("meter_id", "day", "revision")
    meter = models.ForeignKey(Meter, models.DO_NOTHING, db_constraint=False, db_index=False)
    day = models.DateField()
    revision = models.SmallIntegerField()
    blocks_wh = ArrayField(models.IntegerField(null=True), size=48, null=True)
    total_wh = models.IntegerField(null=True)
    register_wh = models.BigIntegerField(null=True)
    demand_w = models.IntegerField(null=True)
    quality = models.SmallIntegerField(help_text="1 measured, 2 measured with unknown half-hours")
    delivery = models.BigIntegerField()


class Delivery(models.Model):
    """A file or message of meter days, whole or not at all: received = stored + repeated + quarantined."""

    sha256 = models.TextField(unique=True)
    sender = models.TextField()
    received_at = models.DateTimeField(db_default=Now())
    received = models.IntegerField()
    stored = models.IntegerField()
    repeated = models.IntegerField()
    quarantined = models.IntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(received=models.F("stored") + models.F("repeated") + models.F("quarantined")),
                name="delivery_equation",
            )
        ]


class Quarantine(models.Model):
    """A row that did not pass a numbered check; kept with what it said."""

    delivery = models.ForeignKey(Delivery, models.PROTECT)
    line = models.IntegerField()
    check_number = models.TextField(help_text="VAL-nn")
    serial = models.TextField()
    day = models.DateField()
    total_wh = models.BigIntegerField(null=True)
    reason = models.TextField()
