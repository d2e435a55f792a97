"""Money taken, at counters and elsewhere. What was taken, opened and closed is immutable; a reversal adds."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from khata.consumers.models import Connection
from khata.discoms.models import Discom, Office
from khata.ledger.models import Entry
from khata.payments.rules import HELD_FOR, receipt_number


class Counter(models.Model):
    """A place in an office where cash is taken. Its code is printed on its receipts, so no two counters share one."""

    office = models.ForeignKey(Office, models.PROTECT)
    code = models.TextField(unique=True)
    name_hi = models.TextField()
    name_en = models.TextField()
    active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(code__regex=r"^[A-Z][A-Z0-9]{1,3}$"), name="counter_code")]


class CounterPolicy(models.Model):
    """What a company's counters together may take in cash for one connection on one day, from a day on."""

    discom = models.ForeignKey(Discom, models.PROTECT)
    from_date = models.DateField()
    most_paise = models.BigIntegerField(help_text="the most cash for one connection on one day")
    source = models.TextField(help_text="the law or order that says so")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["discom", "from_date"], name="counter_policy_dated_once"),
            models.CheckConstraint(condition=Q(most_paise__gt=0), name="counter_policy_above_0"),
        ]


class Shift(models.Model):
    """One person at one counter on one day. It is open until there is a ShiftClosed; both at once have one at most."""

    counter = models.ForeignKey(Counter, models.PROTECT)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    business_date = models.DateField()
    opened_at = models.DateTimeField()
    opening_paise = models.BigIntegerField(help_text="cash in the drawer before the first receipt")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(opening_paise__gte=0), name="shift_opening_from_0")]


class ShiftClosed(models.Model):
    """Cash counted in the drawer (declared) and cash that must be there (booked: opening and all receipts)."""

    shift = models.OneToOneField(Shift, models.PROTECT, primary_key=True)
    closed_at = models.DateTimeField()
    declared_paise = models.BigIntegerField()
    booked_paise = models.BigIntegerField()
    reason = models.TextField(blank=True, default="", help_text="why the two differ, or why another person closes")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, help_text="who counted")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(declared_paise__gte=0), name="shift_declared_from_0"),
            models.CheckConstraint(
                condition=Q(declared_paise=F("booked_paise")) | ~Q(reason=""), name="shift_difference_has_a_reason"
            ),
        ]


class Receipt(models.Model):
    """Money taken for a connection, or held in suspense until its connection is found. What a counter took has a shift,
    the counter's next serial and an instant; what was brought in without a counter has no shift and no serial."""

    connection = models.ForeignKey(
        Connection, models.DO_NOTHING, db_constraint=False, null=True, help_text="none while it is held in suspense"
    )
    held_for = models.TextField(
        blank=True, default="", db_default="", help_text="why it was taken into suspense; else empty"
    )
    channel = models.TextField(help_text="counter")
    reference = models.TextField(help_text="the channel's own reference: the same one twice is one payment")
    office = models.ForeignKey(
        Office, models.PROTECT, db_index=False, help_text="where it was collected"
    )  # receipt_of_day begins with it
    typed = models.TextField(help_text="the identifier as it was typed")
    matched = models.TextField(help_text="the account number or old number that it matched; of an unknown one empty")
    amount_paise = models.BigIntegerField()
    received_on = models.DateField()
    entry = models.ForeignKey(Entry, models.DO_NOTHING, db_constraint=False, db_index=False)
    counter = models.ForeignKey(Counter, models.PROTECT, null=True, db_index=False)
    shift = models.ForeignKey(Shift, models.PROTECT, null=True)
    serial = models.IntegerField(null=True, help_text="from 1, without a gap at its counter")
    received_at = models.DateTimeField(null=True)
    balance_after_paise = models.BigIntegerField(null=True, help_text="what the connection owed after it, as printed")

    class Meta:
        indexes = [models.Index(fields=["office", "received_on"], name="receipt_of_day")]
        constraints = [
            models.UniqueConstraint(fields=["channel", "reference"], name="receipt_once"),
            models.UniqueConstraint(fields=["counter", "serial"], name="receipt_serial_once"),
            models.CheckConstraint(condition=Q(amount_paise__gt=0), name="receipt_above_0"),
            models.CheckConstraint(
                condition=Q(counter__isnull=True, shift__isnull=True, serial__isnull=True)
                | Q(counter__isnull=False, shift__isnull=False, serial__isnull=False, received_at__isnull=False),
                name="receipt_of_a_counter_whole",
            ),
            models.CheckConstraint(
                condition=Q(connection__isnull=False, held_for="") | Q(connection__isnull=True, held_for__in=HELD_FOR),
                name="receipt_held_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(counter__isnull=False, connection__isnull=False, balance_after_paise__isnull=False)
                | Q(balance_after_paise__isnull=True) & (Q(counter__isnull=True) | Q(connection__isnull=True)),
                name="receipt_balance_at_a_counter",
            ),
        ]

    @property
    def number(self) -> str:
        """As it is printed; of what no counter took, the channel's own reference."""
        if self.counter is None or self.serial is None:
            return self.reference
        return receipt_number(counter=self.counter.code, serial=self.serial)


class SuspenseProposal(models.Model):
    """One officer's wish to put held money on a connection that its own number does not lead to. A second officer's
    same wish clears it. Open as long as the money is held."""

    receipt = models.ForeignKey(Receipt, models.PROTECT, db_index=False)  # proposal_once_a_person begins with it
    connection = models.ForeignKey(Connection, models.PROTECT)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    reason = models.TextField()
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["receipt", "connection", "staff"], name="proposal_once_a_person"),
            models.CheckConstraint(condition=~Q(reason=""), name="proposed_with_a_reason"),
        ]


class SuspenseCleared(models.Model):
    """Held money put on the account that it was meant for."""

    receipt = models.OneToOneField(Receipt, models.PROTECT, primary_key=True)
    connection = models.ForeignKey(Connection, models.PROTECT)
    office = models.ForeignKey(Office, models.PROTECT, db_index=False, help_text="the receipt's, for whoever sees it")
    entry = models.ForeignKey(Entry, models.PROTECT, db_index=False)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    reason = models.TextField()
    cleared_at = models.DateTimeField()
    cleared_on = models.DateField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="cleared_with_a_reason")]
