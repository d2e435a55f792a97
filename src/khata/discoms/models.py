"""The companies and their offices, and the staff with their posts."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from django_otp.plugins.otp_totp.models import TOTPDevice


class Discom(models.Model):
    id = models.SmallIntegerField(primary_key=True)
    code = models.TextField(unique=True)
    regulator = models.TextField()
    name_en = models.TextField()
    name_hi = models.TextField()
    key_colour = models.TextField(default="1f1d4e", help_text="of its pages and bills: six hexadecimal digits")
    emblem = models.TextField(
        default="khata/emblem.svg", help_text="its file among the static files, see docs/pages.md"
    )
    phone = models.TextField(default="1912")
    email = models.TextField(default="", blank=True)
    place_en = models.TextField(default="", blank=True, help_text="where its head office stands")
    place_hi = models.TextField(default="", blank=True)
    upi_address = models.TextField(default="", blank=True, help_text="as its bank registered it; none: no UPI code")
    upi_name = models.TextField(default="", blank=True)
    merchant_code = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(key_colour__regex=r"^[0-9a-f]{6}$"), name="discom_key_colour")
        ]


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
    last_login = None  # the audit trail says it, and says it of every time

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


class Limit(models.Model):
    """How often something was tried in a stretch of time. The key is a keyed hash: it names nobody."""

    pk = models.CompositePrimaryKey("key", "since")
    key = models.TextField()
    since = models.DateTimeField()
    count = models.IntegerField()


class SecondFactor(TOTPDevice):  # type: ignore[misc]  # the framework tells no types
    """A person's TOTP device. Whoever uses it writes down only that and when: never its key, nor whose it is."""

    _USE = ("drift", "last_t", "last_used_at", "throttling_failure_timestamp", "throttling_failure_count")

    class Meta:
        proxy = True

    def save(self, **options: object) -> None:
        if not self._state.adding:
            options["update_fields"] = self._USE
        super().save(**options)
