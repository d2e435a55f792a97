"""Bills and what they were made from. Nothing here is ever updated."""

import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from khata.consumers.models import Connection, Terms
from khata.discoms.models import Discom, Office
from khata.jobs.models import Part, Run
from khata.kernel.days import month_number, month_start
from khata.ledger.models import Entry
from khata.tariffs.models import RateSchedule

SHORTEST_REASON, LONGEST_REASON = 10, 500  # characters


class BillingPolicy(models.Model):
    """How a company bills from a day on: its own choices, not the regulator's."""

    discom = models.ForeignKey(Discom, models.PROTECT)
    from_date = models.DateField()
    bill_day = models.SmallIntegerField(help_text="day of the bill month on which bills are dated")
    due_days = models.SmallIntegerField(help_text="days from bill date to due date")
    hold_paise_per_kw = models.BigIntegerField(help_text="a bill above this for each kW of load is held")
    hold_load_percent = models.SmallIntegerField(help_text="energy above load x hours x this per cent is held")
    release_alone_paise = models.BigIntegerField(help_text="from this on a second person must agree to a release")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["discom", "from_date"], name="billing_policy_dated_once")]


def _of_a_sentence(field: str) -> Q:
    """Long enough to be a reason, short enough to be read."""
    return Q(GreaterThanOrEqual(Length(field), SHORTEST_REASON)) & Q(LessThanOrEqual(Length(field), LONGEST_REASON))


class Decision(models.Model):
    """What an officer decided about a held bill (a row of `Unissued`): to release it, or to keep it back."""

    part = models.ForeignKey(Part, models.PROTECT, db_index=False)
    connection = models.ForeignKey(Connection, models.PROTECT)
    verdict = models.TextField()
    reason = models.TextField()
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, db_index=False)
    decided_at = models.DateTimeField()
    amount_paise = models.BigIntegerField(null=True, help_text="at stake; none where the month's own limits still hold")
    needs_checker = models.BooleanField(help_text="takes effect only when a second person agrees")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(verdict__in=["release", "keep"]), name="decision_verdict"),
            models.CheckConstraint(condition=_of_a_sentence("reason"), name="decision_reason"),
            models.CheckConstraint(condition=Q(verdict="release") | Q(needs_checker=False), name="decision_kept_alone"),
        ]


class Approval(models.Model):
    """What the second person said. The database refuses the person who made the decision."""

    decision = models.OneToOneField(Decision, models.PROTECT, primary_key=True)
    verdict = models.TextField()
    reason = models.TextField()
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, db_index=False)
    approved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(verdict__in=["approve", "refuse"]), name="approval_verdict"),
            models.CheckConstraint(condition=_of_a_sentence("reason"), name="approval_reason"),
        ]


class BillRun(models.Model):
    """A run over one division for one bill month; or over one connection of it that was held: released by a decision,
    or billed again because days or readings came late."""

    run = models.OneToOneField(Run, models.PROTECT, primary_key=True)
    discom = models.ForeignKey(Discom, models.PROTECT)
    division = models.ForeignKey(Office, models.PROTECT)
    cycle = models.DateField(help_text="first day of the bill month")
    bill_date = models.DateField()
    due_date = models.DateField()
    rated_on = models.DateField(help_text="whose day's figures its bills bear: the bill date of the month's own run")
    decision = models.OneToOneField(Decision, models.PROTECT, null=True)
    late_part = models.ForeignKey(
        Part, models.PROTECT, null=True, help_text="that held it before days or readings came late"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["division", "cycle"], condition=Q(decision=None, late_part=None), name="bill_run_once"
            ),
            models.CheckConstraint(condition=Q(decision=None) | Q(late_part=None), name="bill_run_for_one_cause"),
            models.CheckConstraint(condition=Q(cycle__day=1), name="bill_run_cycle_is_a_month"),
        ]


def used_in(*, cycle: datetime.date, days: int) -> tuple[datetime.date, datetime.date]:
    """First and last month of the use that a bill of this month and so many days bills: by them it is named, as the
    months of every chart are. Made in June, it is the bill for the use of May."""
    last = month_number(cycle) - 1
    return month_start(last - max(0, (2 * days + 30) // 60 - 1)), month_start(last)


def bill_number(*, cycle: datetime.date, identity: int) -> str:
    """Bill month and serial: twelve digits, more after ten crore bills."""
    return f"{cycle:%y%m}{identity:08d}"


class Bill(models.Model):
    """One a connection, cycle, kind and revision. `part` is the run's part that made it; `entry` posted it."""

    connection = models.ForeignKey(Connection, models.DO_NOTHING, db_constraint=False, db_index=False)
    cycle = models.DateField()
    kind = models.TextField(default="regular")
    revision = models.SmallIntegerField(default=0)
    part = models.ForeignKey(Part, models.DO_NOTHING, db_constraint=False, db_index=False)
    entry = models.ForeignKey(Entry, models.DO_NOTHING, db_constraint=False, db_index=False)
    bill_date = models.DateField()
    due_date = models.DateField()
    period_start = models.DateField()
    period_end = models.DateField()
    energy_wh = models.BigIntegerField()
    assessed_paise = models.BigIntegerField(help_text="printed charge lines, subsidy not yet taken off")
    subsidy_paise = models.BigIntegerField()
    rebate_paise = models.BigIntegerField()
    payable_paise = models.BigIntegerField()
    arrears_paise = models.BigIntegerField(help_text="balance of the connection before this bill; below 0 an advance")
    draft = models.BooleanField()

    class Meta:
        # Bills of a part are written together, so the smallest of indexes finds them.
        indexes = [BrinIndex(fields=["part"], name="bill_by_part", pages_per_range=16)]
        constraints = [
            models.UniqueConstraint(fields=["connection", "cycle", "kind", "revision"], name="bill_once"),
            models.CheckConstraint(
                condition=Q(payable_paise=F("assessed_paise") - F("subsidy_paise") - F("rebate_paise")),
                name="bill_adds_up",
            ),
            models.CheckConstraint(condition=Q(period_end__gt=F("period_start")), name="bill_period_rises"),
        ]

    @property
    def number(self) -> str:
        return bill_number(cycle=self.cycle, identity=self.id)

    @property
    def used_in(self) -> tuple[datetime.date, datetime.date]:
        return used_in(cycle=self.cycle, days=(self.period_end - self.period_start).days)

    @property
    def last_day(self) -> datetime.date:
        return self.period_end - datetime.timedelta(days=1)


class BillPart(models.Model):
    """A stretch of days under one order and one set of terms: determinants, and paise in the order of the schedule."""

    pk = models.CompositePrimaryKey("bill_id", "number")
    bill = models.ForeignKey(Bill, models.DO_NOTHING, db_constraint=False, db_index=False)
    number = models.SmallIntegerField()
    start = models.DateField()
    end = models.DateField()
    schedule = models.ForeignKey(RateSchedule, models.DO_NOTHING, db_constraint=False, db_index=False)
    terms = models.ForeignKey(Terms, models.DO_NOTHING, db_constraint=False, db_index=False)
    load_w = models.IntegerField()
    demand_w = models.IntegerField(null=True, help_text="the highest recorded in its days; empty where none was")
    energy_wh = models.BigIntegerField()
    lines_paise = ArrayField(models.BigIntegerField())
    meters = ArrayField(models.BigIntegerField(), help_text="meters that measured it, one after the other")
    opening_wh = ArrayField(models.BigIntegerField(), help_text="register of each when the part began")
    closing_wh = ArrayField(models.BigIntegerField(), help_text="register of each when it ended")
    opening_estimated = ArrayField(
        models.BigIntegerField(), null=True, help_text="meters whose opening was estimated then; empty: of none"
    )
    closing_estimated = ArrayField(
        models.BigIntegerField(), null=True, help_text="meters whose closing was estimated then; empty: of none"
    )
    kernel = models.SmallIntegerField()


class Unissued(models.Model):
    """A connection of a run that got no bill: held or parked for somebody to decide, or not due.

    A release that does not end in a bill leaves a second row of the month, with its own reason: the newest part counts.
    """

    pk = models.CompositePrimaryKey("part_id", "connection_id")
    part = models.ForeignKey(Part, models.PROTECT)
    connection = models.ForeignKey(Connection, models.PROTECT)
    cycle = models.DateField(help_text="bill month of the part's run")
    outcome = models.TextField()
    reason = models.TextField(help_text="code of the rule")
    detail = models.TextField(help_text="the reason in words")
    evidence = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=["held", "parked", "not due"]), name="unissued_outcome")
        ]
        indexes = [models.Index(fields=["cycle"], condition=Q(outcome="held"), name="unissued_held")]


class OldBill(models.Model):
    """A bill of the company's own system from before the cut-over: history to show, never posted here."""

    pk = models.CompositePrimaryKey("connection_id", "month")
    connection = models.ForeignKey(
        Connection, models.PROTECT, db_constraint=False, db_index=False
    )  # the key begins with it
    month = models.DateField()
    units_wh = models.BigIntegerField()
    amount_paise = models.BigIntegerField()

    @property
    def used_in(self) -> tuple[datetime.date, datetime.date]:
        """Its days were not handed over; it stands for one month."""
        return used_in(cycle=self.month, days=30)
