"""Messages to be sent. The text is made from the registered template when it is sent; here stand its variables."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Message(models.Model):
    subject = models.BigIntegerField(db_index=True, help_text="whom it is about: a connection's id, only referred to")
    template = models.TextField()
    language = models.TextField()
    mobile = models.TextField()
    values = ArrayField(models.TextField(), help_text="the template's variables in order, in their canonical text")
    cause = models.TextField(help_text="package:kind:id")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(mobile__regex=r"^[6-9][0-9]{9}$"), name="message_mobile"),
            models.CheckConstraint(condition=models.Q(language__in=["hi", "en"]), name="message_language"),
        ]
