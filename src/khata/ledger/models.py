"""Double entry. Knows no bill and no consumer, only references."""

from django.db import models
from django.db.models.functions import Now

from khata.discoms.models import Discom


class Head(models.Model):
    """An account head of one company's books. A posting on a head `per_subject` names its subject."""

    id = models.SmallAutoField(primary_key=True)
    discom = models.ForeignKey(Discom, models.PROTECT)
    code = models.TextField()
    title_en = models.TextField()
    title_hi = models.TextField()
    per_subject = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["discom", "code"], name="head_coded_once")]


class Entry(models.Model):
    """One business act. Its column `tx` (not in this model) holds the transaction that may add postings to it."""

    kind = models.TextField()
    cause = models.TextField(help_text="package:kind:id of what it came from")
    business_date = models.DateField()
    reason = models.TextField(default="", blank=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "cause"], name="entry_caused_once")]


class Posting(models.Model):
    """Debit above 0, credit below, in paise. Existence of the entry and the sum are checked by a trigger per statement,
    which costs a third of what a foreign key does (docs/adr/0006)."""

    pk = models.CompositePrimaryKey("entry_id", "head_id", "subject")
    entry = models.ForeignKey(Entry, models.DO_NOTHING, db_constraint=False, db_index=False)
    head = models.ForeignKey(Head, models.DO_NOTHING, db_constraint=False, db_index=False)
    subject = models.BigIntegerField(default=0, help_text="a connection's id; 0 where the head has no subjects")
    amount_paise = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["subject", "entry"], name="posting_by_subject")]


class Balance(models.Model):
    """Sum of a subject's postings on one head; kept by the posting trigger in the same transaction."""

    pk = models.CompositePrimaryKey("subject", "head_id")
    subject = models.BigIntegerField()
    head = models.ForeignKey(Head, models.DO_NOTHING, db_constraint=False, db_index=False)
    amount_paise = models.BigIntegerField()
