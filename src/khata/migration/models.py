"""A company's move: waves, the files handed over, what was found in them, what people decided, the parallel run."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from khata.consumers.models import Connection
from khata.discoms.models import Discom, Office


class Wave(models.Model):
    """Accounts of a company that move together. What has happened to it stands in its acts."""

    discom = models.ForeignKey(Discom, models.PROTECT)
    code = models.TextField()
    numbers = models.TextField(default="new", help_text="new: numbers are issued; kept: ten-digit ones stay")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["discom", "code"], name="wave_coded_once"),
            models.CheckConstraint(condition=Q(numbers__in=["new", "kept"]), name="wave_numbers"),
        ]


class Act(models.Model):
    """One step of a wave that was done whole: the n-th load, cut-over or rollback. The last one says its state."""

    wave = models.ForeignKey(Wave, models.PROTECT)
    kind = models.TextField()
    number = models.SmallIntegerField(help_text="the n-th of its kind in the wave")
    business_date = models.DateField()
    made_at = models.DateTimeField(db_default=Now())
    actor = models.TextField()
    details = models.JSONField(default=dict, help_text="counts and sums of the step, no names")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wave", "kind", "number"], name="wave_act_once"),
            models.CheckConstraint(condition=Q(kind__in=["load", "cutover", "rollback"]), name="wave_act_kind"),
        ]


class File(models.Model):
    """A file as it was handed over. The highest version of its kind and division counts; earlier ones stay."""

    wave = models.ForeignKey(Wave, models.PROTECT)
    division = models.ForeignKey(Office, models.PROTECT, null=True, help_text="none for the control totals")
    kind = models.TextField(help_text="master, billed, meters, heads or control")
    version = models.SmallIntegerField()
    name = models.TextField()
    sha256 = models.TextField()
    bytes = models.BigIntegerField()
    rows = models.IntegerField()
    facts = models.JSONField(default=dict, help_text="encoding, styles of dates and amounts, header, blank lines")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wave", "kind", "division", "version"], name="file_version_once", nulls_distinct=False
            )
        ]


class SourceRow(models.Model):
    """A line of a file, its bytes unchanged."""

    pk = models.CompositePrimaryKey("file_id", "line")
    file = models.ForeignKey(File, models.DO_NOTHING, db_constraint=False, db_index=False)
    line = models.IntegerField()
    raw = models.BinaryField()


class StagedRow(models.Model):
    """What a source row of the newest version says, typed, with corrections applied; made anew when those change.

    `account` is its number as written; `key` the same without zeros in front. Columns of other kinds of file are null.
    `outcome` is migrated until the rules say otherwise: of seven lakh accounts few are touched twice. Control totals
    have none.
    """

    pk = models.CompositePrimaryKey("file_id", "line")
    wave = models.ForeignKey(Wave, models.DO_NOTHING, db_constraint=False, db_index=False)
    division = models.ForeignKey(Office, models.DO_NOTHING, db_constraint=False, db_index=False, null=True)
    kind = models.TextField()
    file = models.ForeignKey(File, models.DO_NOTHING, db_constraint=False, db_index=False)
    line = models.IntegerField()
    account = models.TextField(blank=True)
    key = models.TextField(blank=True)
    rules = ArrayField(models.TextField(), default=list, help_text="MIG-nn found in the row alone")
    said = models.JSONField(default=dict, help_text="of each of these rules what the row says, shortened")
    digest = models.BinaryField(help_text="of the row's bytes: tells a copy from a contradiction")
    outcome = models.TextField(blank=True)
    # master
    name = models.TextField(null=True)
    mobile = models.TextField(null=True)
    mobile_key = models.TextField(null=True)
    address = models.TextField(null=True)
    category = models.TextField(null=True, help_text="normalised, e.g. LMV-1; of billed rows the tariff type")
    load_w = models.IntegerField(null=True)
    substation = models.TextField(null=True)
    feeder = models.TextField(null=True)
    outstanding_paise = models.BigIntegerField(null=True)
    # billed
    book = models.TextField(null=True)
    load_unit = models.TextField(null=True)
    meter = models.TextField(null=True, help_text="trimmed; of meters rows too")
    smart = models.BooleanField(null=True)
    bill_basis = models.TextField(null=True)
    bill_day = models.DateField(null=True)
    bill_number = models.TextField(null=True)
    billed_wh = models.BigIntegerField(null=True)
    assessed_paise = models.BigIntegerField(null=True)
    payable_paise = models.BigIntegerField(null=True)
    previous_wh = models.BigIntegerField(null=True, help_text="register before the multiplying factor")
    previous_day = models.DateField(null=True)
    present_wh = models.BigIntegerField(null=True)
    present_day = models.DateField(null=True)
    factor = models.IntegerField(null=True)
    demand_w = models.IntegerField(null=True)
    # heads
    principal_paise = models.BigIntegerField(null=True)
    lpsc_paise = models.BigIntegerField(null=True)
    deposit_paise = models.BigIntegerField(null=True)
    prepaid_paise = models.BigIntegerField(null=True)
    mode = models.TextField(null=True, help_text="postpaid or prepaid")
    supply_type = models.TextField(null=True)
    # billed and control
    division_code = models.TextField(null=True)
    # control
    accounts = models.IntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["wave", "division", "kind", "key"], name="staged_by_key")]


class Account(models.Model):
    """An account of the old system and the verdict on it; made anew by each load until the wave is cut over.

    Held accounts may lack anything but their number and division. `account_number` is there once numbers were issued,
    `connection` once the account has been cut over for the first time: both stay for ever.
    """

    wave = models.ForeignKey(Wave, models.PROTECT, db_index=False)  # the keys below begin with it
    division = models.ForeignKey(Office, models.PROTECT, db_index=False)
    old_number = models.TextField()
    outcome = models.TextField()
    rules = ArrayField(models.TextField(), default=list)
    account_number = models.TextField(blank=True, default="")
    connection = models.ForeignKey(Connection, models.PROTECT, db_constraint=False, null=True, db_index=False)
    name = models.TextField(blank=True, default="")
    mobile = models.TextField(blank=True, default="", help_text="as it was given")
    mobile_key = models.TextField(blank=True, default="", help_text="ten digits if it may be used, else empty")
    language = models.TextField(default="hi")
    address = models.TextField(blank=True, default="")
    category = models.TextField(blank=True, default="")
    area = models.TextField(blank=True, default="")
    mode = models.TextField(blank=True, default="")
    load_w = models.IntegerField(null=True)
    substation = models.TextField(blank=True, default="")
    feeder = models.TextField(blank=True, default="")
    book = models.TextField(blank=True, default="")
    meter = models.TextField(blank=True, default="")
    smart = models.BooleanField(default=False)
    factor = models.IntegerField(default=1)
    bill_basis = models.TextField(blank=True, default="")
    bill_day = models.DateField(null=True)
    billed_wh = models.BigIntegerField(null=True)
    assessed_paise = models.BigIntegerField(null=True)
    payable_paise = models.BigIntegerField(null=True)
    previous_wh = models.BigIntegerField(null=True)
    previous_day = models.DateField(null=True)
    present_wh = models.BigIntegerField(null=True)
    present_day = models.DateField(null=True)
    demand_w = models.IntegerField(null=True)
    principal_paise = models.BigIntegerField(default=0)
    lpsc_paise = models.BigIntegerField(default=0)
    deposit_paise = models.BigIntegerField(default=0)
    prepaid_paise = models.BigIntegerField(default=0)
    heads_file = models.ForeignKey(File, models.PROTECT, null=True, db_index=False)
    heads_line = models.IntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wave", "old_number"], name="account_once_a_wave"),
            models.CheckConstraint(condition=Q(outcome__in=["migrated", "repaired", "held"]), name="account_outcome"),
        ]
        indexes = [
            models.Index(fields=["wave", "division", "outcome"], name="account_by_division"),
        ]


class Finding(models.Model):
    """What a rule found in a row, or in a whole file (line 1). Made anew with the verdicts."""

    wave = models.ForeignKey(Wave, models.PROTECT)
    division = models.ForeignKey(Office, models.PROTECT, null=True)
    rule = models.TextField()
    outcome = models.TextField(help_text="repaired, held or noted")
    file = models.ForeignKey(File, models.PROTECT, db_index=False)
    line = models.IntegerField()
    account = models.TextField(blank=True, default="", help_text="its number as the row writes it")
    said = models.TextField(blank=True, default="", help_text="what stands there, shortened; never a whole row")
    amount_paise = models.BigIntegerField(default=0, help_text="held: principal and LPSC of the account or row")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "line", "rule"], name="finding_once")]
        indexes = [models.Index(fields=["wave", "rule", "division"], name="finding_by_rule")]


class Proposal(models.Model):
    """What one person proposes: to correct a column of a row, or to accept what stands red. Another decides.

    `about` names it whole, with the figure that is accepted: `row:<file>:<line>`,
    `equation:<division>:<head>:<difference>`, `parallel:<run>:<class>:<count>`. When the figure changes, the acceptance
    no longer covers it.
    """

    wave = models.ForeignKey(Wave, models.PROTECT)
    division = models.ForeignKey(Office, models.PROTECT, null=True)
    kind = models.TextField()
    about = models.TextField()
    column = models.TextField(blank=True, default="")
    value = models.TextField(blank=True, default="")
    reason = models.TextField()
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["correct", "accept"]), name="proposal_kind"),
            models.CheckConstraint(condition=~Q(reason=""), name="proposal_has_a_reason"),
            models.CheckConstraint(condition=Q(kind="accept") | ~Q(column=""), name="proposal_names_a_column"),
        ]


class Verdict(models.Model):
    """The second person's word on a proposal. The database refuses the maker."""

    proposal = models.OneToOneField(Proposal, models.PROTECT, primary_key=True)
    approved = models.BooleanField()
    reason = models.TextField(blank=True, default="")
    checker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(approved=True) | ~Q(reason=""), name="verdict_refusal_says_why")
        ]


class ParallelRun(models.Model):
    """The old system's last bills rated once more. Counts and sums per class and division stand in `summary`."""

    wave = models.ForeignKey(Wave, models.PROTECT)
    cycle = models.DateField()
    made_at = models.DateTimeField(db_default=Now())
    actor = models.TextField()
    summary = models.JSONField(default=dict)


class Compared(models.Model):
    """One account's old bill beside ours. Paise; energy in Wh; ours are null where it could not be rated."""

    pk = models.CompositePrimaryKey("run_id", "account_id")
    # without constraints: checked row by row at the commit, lakhs of rows would cost half a minute
    run = models.ForeignKey(ParallelRun, models.PROTECT, db_constraint=False, db_index=False)
    account = models.ForeignKey(Account, models.PROTECT, db_constraint=False, db_index=False)
    division = models.ForeignKey(Office, models.PROTECT, db_constraint=False, db_index=False)
    result = models.TextField()
    why = models.TextField(blank=True, default="")
    old_wh = models.BigIntegerField()
    new_wh = models.BigIntegerField(null=True)
    old_assessed_paise = models.BigIntegerField()
    new_assessed_paise = models.BigIntegerField(null=True)
    old_payable_paise = models.BigIntegerField()
    new_payable_paise = models.BigIntegerField(null=True)
    lines_paise = ArrayField(models.BigIntegerField(), null=True, help_text="ours, in the schedule's order")

    class Meta:
        indexes = [models.Index(fields=["run", "result", "division"], name="compared_by_result")]
        constraints = [
            models.CheckConstraint(
                condition=Q(result__in=["equal", "rounding", "rule", "data", "unknown"]), name="compared_result"
            )
        ]


class Told(models.Model):
    """A consumer was told the new number at the door. What an SMS, a sign-in or a payment proves stands elsewhere."""

    connection = models.OneToOneField(Connection, models.PROTECT, primary_key=True)
    told_on = models.DateField()
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    reader = models.TextField(blank=True, default="", help_text="who was at the door, as the office wrote it")
    made_at = models.DateTimeField(db_default=Now())


class SeenNumber(models.Model):
    """A consumer has signed in, and so has seen the new number. Written at the first sign-in, and only then."""

    connection = models.OneToOneField(Connection, models.PROTECT, primary_key=True)
    at = models.DateTimeField()


class ListPolicy(models.Model):
    """What of the numbers a company publishes, from a day on."""

    discom = models.ForeignKey(Discom, models.PROTECT)
    from_date = models.DateField()
    publish = models.TextField()
    source = models.TextField(help_text="the order that says so")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["discom", "from_date"], name="list_policy_dated_once"),
            models.CheckConstraint(condition=Q(publish__in=["numbers", "masked", "off"]), name="list_policy_publish"),
        ]
