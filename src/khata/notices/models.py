"""Messages to be sent. The text is made from the registered template when it is sent; here stand its variables."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now


class Message(models.Model):
    subject = models.BigIntegerField(help_text="whom it is about: a connection's id, only referred to")
    template = models.TextField()
    language = models.TextField()
    mobile = models.TextField()
    values = ArrayField(models.TextField(), help_text="the template's variables in order, in their canonical text")
    cause = models.TextField(help_text="package:kind:id")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        # A run's messages are written in the order of its connections, so the smallest of indexes finds them.
        indexes = [BrinIndex(fields=["subject"], name="message_by_subject", pages_per_range=8)]
        # Ten digits that begin with 6 to 9: a check in SQL (migration 0001); a regular expression costs far more.
        constraints = [
            models.CheckConstraint(condition=models.Q(language__in=["hi", "en"]), name="message_language"),
        ]
