"""Money taken. A receipt is immutable; a reversal adds."""

from django.db import models
from django.db.models import Q

from khata.consumers.models import Connection
from khata.discoms.models import Office
from khata.ledger.models import Entry


class Receipt(models.Model):
    connection = models.ForeignKey(Connection, models.DO_NOTHING, db_constraint=False)
    channel = models.TextField(help_text="counter")
    reference = models.TextField(help_text="the channel's own reference: the same one twice is one payment")
    office = models.ForeignKey(Office, models.PROTECT, help_text="where it was collected")
    typed = models.TextField(help_text="the identifier as it was typed")
    matched = models.TextField(help_text="the account number or old number that it matched")
    amount_paise = models.BigIntegerField()
    received_on = models.DateField()
    entry = models.ForeignKey(Entry, models.DO_NOTHING, db_constraint=False, db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "reference"], name="receipt_once"),
            models.CheckConstraint(condition=Q(amount_paise__gt=0), name="receipt_above_0"),
        ]
