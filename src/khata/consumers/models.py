"""People, their connections with dated terms, and account numbers old and new."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from khata.discoms.models import Discom, Office, Staff


class Consumer(models.Model):
    name = models.TextField()
    name_key = models.TextField(help_text="name folded for search")
    mobile = models.TextField(blank=True, default="", help_text="as it was given; may be unusable")
    mobile_key = models.TextField(blank=True, default="", help_text="ten digits, or empty")
    language = models.TextField(default="hi")
    mobile_at = models.DateTimeField(db_default=Now(), help_text="when this mobile came on record here")

    class Meta:
        indexes = [
            models.Index(fields=["name_key"], name="consumer_by_name"),
            models.Index(fields=["mobile_key"], name="consumer_by_mobile"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(mobile_key__regex=r"^([6-9][0-9]{9})?$"), name="consumer_mobile_key"),
            models.CheckConstraint(condition=Q(language__in=["hi", "en"]), name="consumer_language"),
        ]


class IssuedNumber(models.Model):
    """An account number of the State: whoever had it once, nobody else gets it again.

    `account` is for whom it was drawn in the company's own system; where there is none, and for a number that was
    brought along, the number itself stands there.
    """

    pk = models.CompositePrimaryKey("discom_id", "account")
    discom = models.ForeignKey(Discom, models.PROTECT, db_index=False)
    account = models.TextField()
    number = models.TextField()
    issued_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(number__regex=r"^[0-9]{10}$"), name="issued_number_ten_digits"),
            models.UniqueConstraint(fields=["number"], name="issued_number_once"),
        ]


class Connection(models.Model):
    """A supply at one place. Its account number is text of ten digits; those we issue do not begin with 0.

    Not `live`: its wave was rolled back, and the company's own system has it again. Then nobody sees it here.
    """

    consumer = models.ForeignKey(Consumer, models.PROTECT, db_constraint=False)
    discom = models.ForeignKey(Discom, models.PROTECT, db_constraint=False, db_index=False)
    division = models.ForeignKey(Office, models.PROTECT, db_constraint=False)
    account_number = models.TextField()
    address = models.TextField(blank=True, default="")
    connected_on = models.DateField()
    wave = models.TextField(blank=True, default="", help_text="the migration wave that brought it in; empty if new")
    live = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(account_number__regex=r"^[0-9]{10}$"), name="account_number_ten_digits"),
            models.UniqueConstraint(fields=["account_number"], name="account_number_once"),
        ]


class NumberWindow(models.Model):
    """Until when the old numbers of a wave are honoured, that day (IST) included; the newest row of a wave counts.

    Without a last day the window is closed.
    """

    discom = models.ForeignKey(Discom, models.PROTECT, db_index=False)
    wave = models.TextField(blank=True)
    last_day = models.DateField(null=True)
    source = models.TextField(help_text="the order that says so")
    known_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["discom", "wave", "-id"], name="newest_window_of_a_wave")]
        constraints = [models.CheckConstraint(condition=~Q(source=""), name="number_window_has_a_source")]


class OldNumber(models.Model):
    """A number of the company's own system. How long it is honoured is said by the window of its connection's wave."""

    connection = models.ForeignKey(Connection, models.PROTECT, db_constraint=False)
    discom = models.ForeignKey(Discom, models.PROTECT, db_constraint=False, db_index=False)
    number = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["number", "discom"], name="old_number_once_a_company"),
            models.CheckConstraint(condition=Q(number__regex=r"^[0-9]{6,8}$"), name="old_number_six_to_eight_digits"),
        ]


class Terms(models.Model):
    """What the connection is billed as from a day on: a dated fact, never edited; a day's highest revision wins."""

    connection = models.ForeignKey(
        Connection, models.PROTECT, db_constraint=False, db_index=False
    )  # terms_dated_once begins with it
    from_date = models.DateField()
    revision = models.SmallIntegerField(default=0)
    known_at = models.DateTimeField()
    category = models.TextField(help_text="as in the tariff order, e.g. LMV-1")
    area = models.TextField(help_text="urban or rural")
    mode = models.TextField(help_text="postpaid or prepaid")
    load_w = models.IntegerField(help_text="sanctioned load in W")
    ended = models.BooleanField(default=False, help_text="from this day there is no supply")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "from_date", "revision"], name="terms_dated_once"),
            models.CheckConstraint(condition=Q(load_w__gt=0), name="terms_load_above_0"),
            models.CheckConstraint(condition=Q(area__in=["urban", "rural"]), name="terms_area"),
            models.CheckConstraint(condition=Q(mode__in=["postpaid", "prepaid"]), name="terms_mode"),
        ]


class SignIn(models.Model):
    """A request for a code, bound to the session that holds its id. A mobile of nobody's looks the same here.

    The code itself stands nowhere: it is derived from the nonce and the installation's key when the message is made and
    when it is typed. Not append-only: tries are counted in place, and the workers delete rows of yesterday.
    """

    id = models.UUIDField(primary_key=True)
    mobile_key = models.TextField()
    nonce = models.TextField()
    digits = models.SmallIntegerField()
    asked_at = models.DateTimeField()
    tries = models.SmallIntegerField(default=0)
    used = models.BooleanField(default=False)
    queued = models.BooleanField(default=False)
    proof = models.TextField(
        db_default="",
        help_text="what shows the database that its code has fitted; empty until a worker has sent the code",
    )
    connection = models.BigIntegerField(null=True, help_text="whose holder wants this mobile to be the new one")

    class Meta:
        indexes = [models.Index(fields=["asked_at"], condition=Q(queued=False), name="sign_in_to_queue")]


class LastSignIn(models.Model):
    """When somebody last signed in with a mobile: one that was silent for long may be another person's by now."""

    mobile_key = models.TextField(primary_key=True)
    at = models.DateTimeField()


class Authenticator(models.Model):
    """An app on somebody's phone whose code is asked for beside the SMS. The secret stands nowhere: it is derived from
    the nonce and the installation's key; of a recovery code there is a keyed hash, which goes when it is used.
    """

    id = models.UUIDField(primary_key=True)
    mobile_key = models.TextField()
    nonce = models.TextField()
    recovery = ArrayField(models.TextField())
    made_at = models.DateTimeField(db_default=Now())
    last_step = models.BigIntegerField(help_text="of the last code that was taken: none before it is good again")
    ended_at = models.DateTimeField(null=True)
    off_hash = models.TextField(db_default="", help_text="SHA-256 of the word that switches it off, made with the key")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mobile_key"], condition=Q(ended_at=None), name="authenticator_one_mobile")
        ]


class MobileChange(models.Model):
    """Somebody wants another mobile on record. Asked for in a session it waits until `holds_until`, and holds for
    whatever is under the old mobile; proposed at an office (`staff`, on paper) a second person must agree, and it holds
    for this connection alone, four hours later.
    """

    connection = models.ForeignKey(Connection, models.PROTECT)
    mobile_was = models.TextField(db_index=True)
    mobile_new = models.TextField()
    made_at = models.DateTimeField(db_default=Now())
    holds_until = models.DateTimeField(null=True, help_text="null: it waits for a second person instead")
    staff = models.ForeignKey(Staff, models.PROTECT, null=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(mobile_new__regex=r"^[6-9][0-9]{9}$"), name="mobile_change_to_a_mobile"),
            models.CheckConstraint(
                condition=Q(staff=None, holds_until__isnull=False) | Q(staff__isnull=False, holds_until=None),
                name="mobile_change_holds_or_has_staff",
            ),
        ]


class MobileWord(models.Model):
    """What was said of a change: agreed by a second person; and once, in the end, stopped, refused or done."""

    change = models.ForeignKey(MobileChange, models.PROTECT)
    word = models.TextField()
    staff = models.ForeignKey(Staff, models.PROTECT, null=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(word__in=["agreed", "stopped", "refused", "done"]), name="mobile_word"),
            models.UniqueConstraint(fields=["change", "word"], name="mobile_word_once"),
            models.UniqueConstraint(fields=["change"], condition=~Q(word="agreed"), name="mobile_change_ends_once"),
        ]


class ViewGrant(models.Model):
    """The holder lets another mobile see one connection. It stands until an ending is added or the holder's own mobile
    is another one.
    """

    id = models.UUIDField(primary_key=True)
    connection = models.ForeignKey(Connection, models.PROTECT)
    given_by = models.TextField(help_text="the holder's mobile key")
    mobile_key = models.TextField(db_index=True)
    label = models.TextField(help_text="how the holder calls that person")
    given_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(mobile_key__regex=r"^[6-9][0-9]{9}$"), name="view_grant_to_a_mobile")
        ]


class ViewEnded(models.Model):
    """The holder took a view back."""

    grant = models.OneToOneField(ViewGrant, models.PROTECT, primary_key=True)
    ended_at = models.DateTimeField(db_default=Now())


class NumberAsked(models.Model):
    """Somebody typed a number and wants the new one sent to its owner. What was typed may be anything.

    Not append-only: a worker notes whom it wrote to, and deletes rows of yesterday.
    """

    typed = models.TextField()
    asked_at = models.DateTimeField()
    queued = models.BooleanField(default=False)
    connection = models.BigIntegerField(null=True, help_text="who was written to")

    class Meta:
        indexes = [
            models.Index(fields=["asked_at"], condition=Q(queued=False), name="number_asked_to_queue"),
            models.Index(fields=["connection"], condition=Q(connection__isnull=False), name="number_told_to"),
        ]
