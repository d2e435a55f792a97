"""Messages to be sent, and what became of each. The text is made when it is sent; here stand its variables."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Message(models.Model):
    """An id is drawn by the INSERT itself, never before it: the sender's marks rest on that (queries.py)."""

    subject = models.BigIntegerField(help_text="whom it is about: a connection's id, only referred to")
    template = models.TextField()
    language = models.TextField()
    mobile = models.TextField()
    values = ArrayField(models.TextField(), help_text="the template's variables in order, in their canonical text")
    cause = models.TextField(help_text="package:kind:id")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # A run's messages are written in the order of its connections, so the smallest of indexes finds them.
            BrinIndex(fields=["subject"], name="message_by_subject", pages_per_range=8),
            # A code must not wait behind a run's lakhs of bills; of these there are few.
            models.Index(fields=["id"], condition=Q(template="sign-in-code"), name="message_of_sign_in"),
        ]
        # Ten digits that begin with 6 to 9: a check in SQL (migration 0001); a regular expression costs far more.
        constraints = [
            models.CheckConstraint(condition=Q(language__in=["hi", "en"]), name="message_language"),
        ]


class Delivery(models.Model):
    """One attempt to send a message. Failed is tried again; sent and refused are the last word."""

    message = models.ForeignKey(Message, models.PROTECT, db_index=False)
    attempt = models.SmallIntegerField(help_text="from 1")
    at = models.DateTimeField()
    backend = models.TextField()
    outcome = models.TextField(help_text="sent, failed or refused")
    detail = models.TextField(blank=True, default="", help_text="why, or the gateway's own id; no mobile, no text")
    check_code = models.TextField(blank=True, default="", help_text="as it stood in the text; empty if there was none")

    class Meta:
        indexes = [
            models.Index(fields=["check_code"], name="delivery_by_check_code"),
            models.Index(fields=["message"], condition=Q(outcome="failed"), name="delivery_failed"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["message", "attempt"], name="delivery_attempt_once"),
            models.CheckConstraint(condition=Q(outcome__in=["sent", "failed", "refused"]), name="delivery_outcome"),
            models.CheckConstraint(condition=Q(attempt__gt=0), name="delivery_attempt_above_0"),
        ]


class Mark(models.Model):
    """How far senders have come, so that they need not look again from the first message. The last row counts."""

    tried = models.BigIntegerField(help_text="every message to this id has had an attempt")
    settled = models.BigIntegerField(help_text="every message to this id has had its last word")


class Registration(models.Model):
    """Under what a company has registered a template with the telecom operator (DLT). A later row puts one right."""

    discom = models.TextField(help_text="the company's code")
    template = models.TextField()
    language = models.TextField()
    dlt_id = models.TextField(help_text="content template id")
    header = models.TextField(help_text="six letters, perhaps with the suffix for its kind")
    from_date = models.DateField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(dlt_id__regex=r"^[0-9]{10,25}$"), name="registration_dlt_id"),
            models.CheckConstraint(condition=Q(header__regex=r"^[A-Z]{6}(-[STG])?$"), name="registration_header"),
            models.CheckConstraint(condition=Q(language__in=["hi", "en"]), name="registration_language"),
        ]
