"""The companies and their offices, and the staff with their posts."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q


class Discom(models.Model):
    id = models.SmallIntegerField(primary_key=True)
    code = models.TextField(unique=True)
    regulator = models.TextField()
    name_en = models.TextField()
    name_hi = models.TextField()


class Office(models.Model):
    """A company, circle or division. An office and all below it are the numbers `id` to `last`."""

    class Kind(models.TextChoices):
        COMPANY = "company"
        CIRCLE = "circle"
        DIVISION = "division"

    id = models.IntegerField(primary_key=True)
    last = models.IntegerField()
    discom = models.ForeignKey(Discom, models.PROTECT)
    parent = models.ForeignKey("self", models.PROTECT, null=True)
    kind = models.TextField(choices=Kind.choices)
    name_en = models.TextField()
    name_hi = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["discom", "kind", "name_en"], name="office_named_once"),
            models.CheckConstraint(condition=Q(last__gte=F("id")), name="office_range_rises"),
            models.CheckConstraint(condition=Q(kind__in=["company", "circle", "division"]), name="office_kind"),
        ]


class Staff(AbstractBaseUser):
    """A person who works for a company: the Django user model. What they may do stands in their posts."""

    login = models.TextField(unique=True)
    name = models.TextField()
    active = models.BooleanField(default=True)

    USERNAME_FIELD = "login"
    objects = BaseUserManager()


class Post(models.Model):
    """A dated fact: from this day the person holds this role at this office; `ended` says none."""

    staff = models.ForeignKey(Staff, models.PROTECT)
    office = models.ForeignKey(Office, models.PROTECT)
    role = models.TextField()
    from_date = models.DateField()
    revision = models.SmallIntegerField(default=0)
    known_at = models.DateTimeField()
    ended = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["staff", "office", "role", "from_date", "revision"], name="post_dated_once")
        ]
