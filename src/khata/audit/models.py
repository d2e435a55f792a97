"""Who did what, when and why. Append-only; knows only opaque ids, so that erasing a person leaves it whole."""

from django.db import models
from django.db.models.functions import Now


class Record(models.Model):
    at = models.DateTimeField(db_default=Now())
    actor = models.TextField(help_text="staff:<id>, run:<id> or command")
    action = models.TextField(help_text="package.verb, e.g. billing.close-run")
    object = models.TextField(help_text="package:kind:id")
    reason = models.TextField(blank=True, default="")
    details = models.JSONField(default=dict)
