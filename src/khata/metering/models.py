"""Meters, where they hang, what they showed. Registers in Wh, demand in W; days are IST dates."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from khata.consumers.models import Connection
from khata.discoms.models import Discom, Staff


class Meter(models.Model):
    serial = models.TextField()
    discom = models.ForeignKey(Discom, models.PROTECT, db_constraint=False, db_index=False)
    smart = models.BooleanField()
    kind = models.TextField(db_default="", help_text="single phase, three phase, transformer; empty where not known")
    register_digits = models.SmallIntegerField(
        db_default=0, help_text="whole kWh digits before the register begins again at 0; 0 where not known"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["serial"], name="meter_serial_once"),
            models.CheckConstraint(condition=Q(register_digits__range=(0, 12)), name="meter_register_digits"),
        ]


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
    """The register at the beginning of `day`, as read on the spot; demand since the reading before, if it was said."""

    pk = models.CompositePrimaryKey("meter_id", "day", "revision")
    meter = models.ForeignKey(Meter, models.PROTECT, db_constraint=False, db_index=False)  # the key begins with it
    day = models.DateField()
    revision = models.SmallIntegerField(default=0)
    register_wh = models.BigIntegerField()
    demand_w = models.IntegerField(null=True)
    source = models.TextField(help_text="reader, final, initial, migration, billing profile")
    delivery = models.BigIntegerField(null=True, help_text="that brought it; empty where it came in none")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(register_wh__gte=0) & Q(demand_w__gte=0), name="reading_not_negative")
        ]
        indexes = [models.Index(fields=["meter", "day"], condition=Q(source="migration"), name="reading_brought")]


class Channel(models.IntegerChoices):
    """What a meter's register counts. Blocks, totals and registers of a row are Wh, VAh or varh accordingly."""

    IMPORT = 0
    EXPORT = 1
    APPARENT_IMPORT = 2
    APPARENT_EXPORT = 3
    REACTIVE_LAG = 4
    REACTIVE_LEAD = 5


class Origin(models.IntegerChoices):
    """Where a value comes from."""

    ACTUAL = 1
    ESTIMATED = 2
    SUBSTITUTED = 3
    EDITED = 4


class MeterDay(models.Model):
    """One IST day of a smart meter: 48 half-hours or none, total, register at the day's end, maximum demand.

    Partitioned by month of `day`; made by SQL in the first migration. A correction adds a revision, also where an
    estimate is followed by what was measured.
    """

    pk = models.CompositePrimaryKey("meter_id", "day", "channel", "revision")
    meter = models.ForeignKey(Meter, models.DO_NOTHING, db_constraint=False, db_index=False)
    day = models.DateField()
    channel = models.SmallIntegerField(choices=Channel, db_default=Channel.IMPORT)
    revision = models.SmallIntegerField()
    blocks_wh = ArrayField(models.IntegerField(null=True), size=48, null=True)
    total_wh = models.IntegerField(null=True)
    register_wh = models.BigIntegerField(null=True)
    demand_w = models.IntegerField(null=True)
    origin = models.SmallIntegerField(
        choices=Origin, help_text="of the total; of the half-hours where `origins` is empty"
    )
    known = models.SmallIntegerField(help_text="how many half-hours were measured, 0 to 48")
    origins = models.TextField(
        null=True, help_text="48 letters A E S D, - unknown, where half-hours differ from each other"
    )
    off = models.BigIntegerField(null=True, help_text="bit n-1: no supply in half-hour n; empty where nobody said")
    rule = models.TextField(null=True, help_text="the rule (EST-nn) that made what is not actual")
    delivery = models.BigIntegerField()


class Sender(models.Model):
    """Who sends meter data: a meter data company with its credential, or a part of Khata itself."""

    code = models.TextField(unique=True)
    name = models.TextField()
    token_hash = models.TextField(blank=True, db_default="", help_text="SHA-256 of the credential; empty: none")
    active = models.BooleanField(db_default=True)
    most_waiting = models.IntegerField(db_default=1000, help_text="of its uploads may wait for a worker")
    most_waiting_bytes = models.BigIntegerField(
        db_default=4 << 30, help_text="of them together; one alone may always wait"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token_hash"], condition=~Q(token_hash=""), name="sender_credential_once"),
            models.CheckConstraint(condition=Q(most_waiting__gt=0, most_waiting_bytes__gt=0), name="sender_may_wait"),
        ]


class Feed(models.Model):
    """Which sender owes a meter's days from a day on (none: nobody): a dated fact, never edited."""

    pk = models.CompositePrimaryKey("meter_id", "from_date", "revision")
    meter = models.ForeignKey(Meter, models.PROTECT, db_constraint=False, db_index=False)
    from_date = models.DateField()
    revision = models.SmallIntegerField(db_default=0)
    sender = models.ForeignKey(Sender, models.PROTECT, db_constraint=False, db_index=False, null=True)


class Delivery(models.Model):
    """A file or message, whole or not at all: rows = accepted + repeated + superseding + quarantined."""

    sender = models.ForeignKey(Sender, models.PROTECT)
    sha256 = models.TextField(db_index=True)
    form = models.TextField(help_text="which reader read it")
    name = models.TextField(blank=True, help_text="of the file, without its folder")
    size = models.BigIntegerField(help_text="bytes as they came")
    received_at = models.DateTimeField(db_default=Now())
    today = models.DateField(help_text="the business day on which it was judged")
    rows = models.IntegerField()
    accepted = models.IntegerField(help_text="of which nothing was stored before")
    repeated = models.IntegerField(help_text="said what was stored already")
    superseding = models.IntegerField(help_text="stored as a new revision")
    quarantined = models.IntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    rows=models.F("accepted") + models.F("repeated") + models.F("superseding") + models.F("quarantined")
                ),
                name="delivery_equation",
            )
        ]


class Swept(models.Model):
    """The days of this delivery were compared, at night, with the stored days before them."""

    delivery = models.OneToOneField(Delivery, models.PROTECT, primary_key=True)


class Quarantine(models.Model):
    """A row that did not pass a numbered check; kept with what it said, and for whom it is to be put right."""

    delivery = models.ForeignKey(Delivery, models.PROTECT)
    line = models.IntegerField()
    rule = models.TextField(help_text="VAL-nn")
    owner = models.TextField(help_text="sender, division or metering: who has to act")
    serial = models.TextField(blank=True)
    day = models.DateField(null=True)
    channel = models.SmallIntegerField(choices=Channel, null=True, help_text="or 7: a register that was read")
    total_wh = models.BigIntegerField(null=True)
    reason = models.TextField()
    content = models.TextField(blank=True, help_text="the row as it came, cut to 2,000 characters; or empty")


class Finding(models.Model):
    """What a check noted of a day that was stored all the same."""

    pk = models.CompositePrimaryKey("meter_id", "day", "channel", "revision", "rule")
    meter = models.ForeignKey(Meter, models.DO_NOTHING, db_constraint=False, db_index=False)
    day = models.DateField()
    channel = models.SmallIntegerField(choices=Channel, help_text="or 7: a register that was read, not a meter day")
    revision = models.SmallIntegerField()
    rule = models.TextField(help_text="VAL-nn")
    delivery = models.ForeignKey(Delivery, models.PROTECT, db_constraint=False)
    evidence = models.JSONField(help_text="the numbers that gave rise to it, and the limit")

    class Meta:
        indexes = [
            models.Index(fields=["day", "meter"], condition=Q(rule="VAL-15"), name="finding_of_a_register"),
            models.Index(fields=["day", "rule"], name="finding_of_a_day"),
        ]


SHORTEST_REASON, LONGEST_REASON = 10, 500  # characters


class Edit(models.Model):
    """That a revision of a meter day is a person's word: whose, who agreed, and why. Its delivery says how."""

    pk = models.CompositePrimaryKey("meter_id", "day", "channel", "revision")
    meter = models.ForeignKey(Meter, models.PROTECT, db_constraint=False, db_index=False)
    day = models.DateField()
    channel = models.SmallIntegerField(choices=Channel)
    revision = models.SmallIntegerField()
    delivery = models.ForeignKey(Delivery, models.PROTECT, db_constraint=False, db_index=False)
    staff = models.ForeignKey(Staff, models.PROTECT, db_index=False, related_name="+")
    checker = models.ForeignKey(Staff, models.PROTECT, db_index=False, null=True, related_name="+")
    reason = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(checker=None) | ~Q(checker=models.F("staff")), name="edit_by_two"),
            models.CheckConstraint(
                condition=Q(GreaterThanOrEqual(Length("reason"), SHORTEST_REASON))
                & Q(LessThanOrEqual(Length("reason"), LONGEST_REASON)),
                name="edit_reason",
            ),
        ]


class Usual(models.Model):
    """What is usual of a meter, for the checks: derived, made anew each night, so nothing hangs on it."""

    meter = models.OneToOneField(Meter, models.DO_NOTHING, db_constraint=False, primary_key=True)
    made_on = models.DateField()
    days = models.SmallIntegerField(help_text="how many measured days of the last weeks it rests on")
    total_wh = models.IntegerField(help_text="median of a day; -1 where there are too few")
    peak_wh = models.IntegerField(help_text="the median day's largest half-hour; -1 where there are too few")
    zero_days = models.SmallIntegerField(help_text="measured days without any energy, in a row up to the last")
    load_w = models.IntegerField(help_text="sanctioned load of the connection; -1 where it hangs nowhere")
    hangs = models.SmallIntegerField(help_text="at how many live connections")
    division = models.IntegerField(null=True)
    sender = models.BigIntegerField(null=True, help_text="who owes its days")


class OwedDay(models.Model):
    """Of the scorecard: what a sender owes of a division's meters on a day. Derived (`kept.keep_scorecard`)."""

    sender = models.BigIntegerField(null=True, help_text="empty: nobody is recorded")
    division = models.IntegerField()
    day = models.DateField()
    meters = models.IntegerField()
    expected = models.BigIntegerField(help_text="half-hours")
    received = models.BigIntegerField(help_text="half-hours measured")
    totals_only = models.IntegerField(help_text="meters that sent the day's energy without half-hours")
    silent = models.IntegerField(help_text="meters that sent nothing of the day")
    made_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["division", "day"], name="owed_of_a_division")]


class OpenRow(models.Model):
    """A row in quarantine that is still somebody's to settle, once for each office that it concerns. Derived."""

    quarantine = models.BigIntegerField()
    office = models.IntegerField(help_text="the division where its meter hangs; of a meter that hangs nowhere: company")
    rule = models.TextField()
    owner = models.TextField()
    since = models.DateField(help_text="the business day on which the sender first sent it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["quarantine", "office"], name="open_row_once")]
        indexes = [models.Index(fields=["office", "since"], name="open_of_an_office")]


class OpenCount(models.Model):
    """How many rows in quarantine are open of an office and all below it, each once. Derived."""

    pk = models.CompositePrimaryKey("office", "rule", "owner")
    office = models.IntegerField()
    rule = models.TextField()
    owner = models.TextField()
    count = models.IntegerField()
    oldest = models.DateField(help_text="since when the oldest of them is open")


class NotedRow(models.Model):
    """A finding, once for each office of a division where its meter hung that day, and above it. Derived."""

    pk = models.CompositePrimaryKey("office", "day", "rule", "meter", "channel", "revision")
    office = models.IntegerField()
    day = models.DateField()
    rule = models.TextField()
    meter = models.BigIntegerField()
    channel = models.SmallIntegerField()
    revision = models.SmallIntegerField()


class NotedDay(models.Model):
    """How often a check noted something of an office's meters on a day. Derived."""

    pk = models.CompositePrimaryKey("office", "day", "rule")
    office = models.IntegerField()
    day = models.DateField()
    rule = models.TextField()
    count = models.IntegerField()


class ScoreMade(models.Model):
    """When the derived tables above were last brought up to date, and what was the last delivery that they know of."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    made_at = models.DateTimeField()
    delivery = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="score_made_once")]


class Upload(models.Model):
    """A delivery that came in by the network and lies in the spool until a worker has loaded or refused it."""

    id = models.UUIDField(primary_key=True)
    sender = models.ForeignKey(
        Sender, models.PROTECT, db_constraint=False, db_index=False
    )  # upload_of_bytes begins with it
    received_at = models.DateTimeField()
    form = models.TextField()
    name = models.TextField(blank=True)
    sha256 = models.TextField()
    size = models.BigIntegerField()
    key = models.TextField(blank=True, help_text="by which the sender may send it again without a second effect")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sender", "key"], condition=~Q(key=""), name="upload_key_once"),
        ]
        indexes = [models.Index(fields=["sender", "sha256"], name="upload_of_bytes")]


class UploadWaiting(models.Model):
    """An upload of which nothing has become yet: derived, so that nobody counts all that ever came. The database
    writes it with the upload, and takes it away with what became of it."""

    upload = models.OneToOneField(Upload, models.PROTECT, primary_key=True)
    sender = models.BigIntegerField(db_index=True)
    size = models.BigIntegerField()


class UploadDone(models.Model):
    """What became of an upload: a delivery, or a refusal in words."""

    upload = models.OneToOneField(Upload, models.PROTECT, primary_key=True)
    delivery = models.ForeignKey(Delivery, models.PROTECT, null=True)
    refusal = models.JSONField(null=True, help_text="what, where, the next step")
    done_at = models.DateTimeField(db_default=Now())
