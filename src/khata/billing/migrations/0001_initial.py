import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
import django.db.models.lookups
from django.conf import settings
from django.db import migrations, models

AFTER = """
-- Numbers are drawn by the thousand; a session that ends early leaves a gap, which bill numbers may have.
alter sequence billing_bill_id_seq cache 100;
call khata.append_only('billing_billingpolicy');
call khata.append_only('billing_billrun');
call khata.append_only('billing_bill');
call khata.append_only('billing_billpart');
call khata.append_only('billing_unissued');
call khata.append_only('billing_decision');
call khata.append_only('billing_approval');
call khata.append_only('billing_oldbill');
call khata.refers('billing_bill', 'connection_id', 'consumers_connection');
call khata.refers('billing_oldbill', 'connection_id', 'consumers_connection');
call khata.refers('billing_bill', 'entry_id', 'ledger_entry');
call khata.refers('billing_bill', 'part_id', 'jobs_part');
call khata.refers('billing_billpart', 'bill_id', 'billing_bill');
call khata.refers('billing_billpart', 'schedule_id', 'tariffs_rateschedule');
call khata.refers('billing_billpart', 'terms_id', 'consumers_terms');
call khata.fence('billing_bill', $$ exists (select from consumers_connection c where c.id = connection_id) $$);
call khata.fence('billing_billpart', $$ exists (select from billing_bill b where b.id = bill_id) $$);
call khata.fence('billing_oldbill', $$ exists (select from consumers_connection c where c.id = connection_id) $$);

-- Held bills and what was decided about them are the offices' business: a consumer sees none of it. The division of a
-- connection is named once more, because a consumer sees the own connection too.
call khata.fence('billing_unissued', $$ exists (select from consumers_connection c where c.id = connection_id
    and c.division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                          and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
call khata.fence('billing_decision', $$ exists (select from billing_unissued u
    where u.part_id = billing_decision.part_id and u.connection_id = billing_decision.connection_id) $$);
call khata.fence('billing_approval', $$ decision_id in (select id from billing_decision) $$);
create policy made on billing_decision for insert to khata_app
    with check (exists (select from billing_unissued u
        where u.part_id = billing_decision.part_id and u.connection_id = billing_decision.connection_id));
create policy made on billing_approval for insert to khata_app
    with check (decision_id in (select id from billing_decision));
grant insert on billing_decision, billing_approval to khata_app;
grant usage on sequence billing_decision_id_seq to khata_app;
alter table billing_decision add constraint decision_of_unissued
    foreign key (part_id, connection_id) references billing_unissued (part_id, connection_id);

create function khata.check_decision() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not exists (select from billing_unissued
                   where part_id = new.part_id and connection_id = new.connection_id and outcome = 'held') then
        raise exception using errcode = 'KH021', message = 'only a held bill can be released or kept';
    end if;
    return null;
end $$;
create trigger of_a_held_bill after insert on billing_decision for each row execute function khata.check_decision();

create function khata.check_approval() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare made billing_decision;
begin
    select * into made from billing_decision where id = new.decision_id;
    if made.staff_id = new.staff_id then
        raise exception using errcode = 'KH022',
            message = format('decision %s is to be checked by a second person, not by the one who made it', made.id);
    end if;
    if not made.needs_checker then
        raise exception using errcode = 'KH023', message = format('decision %s needs no second person', made.id);
    end if;
    return null;
end $$;
create trigger by_a_second_person after insert on billing_approval for each row execute function khata.check_approval();

-- Lower rooms know no office; the equations of closed runs are fenced here.
call khata.fence('jobs_runclosed', $$ run_id in (select run_id from billing_billrun
    where division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                          and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
-- A bill is shown by rating it again, under what its run had pinned: consumers see the runs of their own division, and that
-- these had parts, but not whom a part worked on.
call khata.fence('billing_billrun', $$
    division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                    and (select nullif(current_setting('khata.office_to', true), '')::int)
    or exists (select from consumers_connection c where c.division_id = billing_billrun.division_id
               and (c.consumer_id = (select nullif(current_setting('khata.consumer', true), '')::bigint)
                    or c.id = (select nullif(current_setting('khata.connection', true), '')::bigint))) $$);
call khata.fence('jobs_run', $$ exists (select from billing_billrun r where r.run_id = jobs_run.id) $$);
call khata.fence('jobs_part', $$ exists (select from billing_billrun r where r.run_id = jobs_part.run_id) $$);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('consumers', '0001_initial'),
        ('discoms', '0001_initial'),
        ('jobs', '0001_initial'),
        ('ledger', '0001_initial'),
        ('tariffs', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Bill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cycle', models.DateField()),
                ('kind', models.TextField(default='regular')),
                ('revision', models.SmallIntegerField(default=0)),
                ('bill_date', models.DateField()),
                ('due_date', models.DateField()),
                ('period_start', models.DateField()),
                ('period_end', models.DateField()),
                ('energy_wh', models.BigIntegerField()),
                ('assessed_paise', models.BigIntegerField(help_text='printed charge lines, subsidy not yet taken off')),
                ('subsidy_paise', models.BigIntegerField()),
                ('rebate_paise', models.BigIntegerField()),
                ('payable_paise', models.BigIntegerField()),
                ('arrears_paise', models.BigIntegerField(help_text='balance of the connection before this bill; below 0 an advance')),
                ('draft', models.BooleanField()),
                ('connection', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='consumers.connection')),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.entry')),
                ('part', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='jobs.part')),
            ],
        ),
        migrations.CreateModel(
            name='BillingPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_date', models.DateField()),
                ('bill_day', models.SmallIntegerField(help_text='day of the bill month on which bills are dated')),
                ('due_days', models.SmallIntegerField(help_text='days from bill date to due date')),
                ('hold_paise_per_kw', models.BigIntegerField(help_text='a bill above this for each kW of load is held')),
                ('hold_load_percent', models.SmallIntegerField(help_text='energy above load x hours x this per cent is held')),
                ('release_alone_paise', models.BigIntegerField(help_text='from this on a second person must agree to a release')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.CreateModel(
            name='BillPart',
            fields=[
                ('pk', models.CompositePrimaryKey('bill_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.SmallIntegerField()),
                ('start', models.DateField()),
                ('end', models.DateField()),
                ('load_w', models.IntegerField()),
                ('demand_w', models.IntegerField(help_text='the highest recorded in its days; empty where none was', null=True)),
                ('energy_wh', models.BigIntegerField()),
                ('lines_paise', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('meters', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='meters that measured it, one after the other', size=None)),
                ('opening_wh', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='register of each when the part began', size=None)),
                ('closing_wh', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='register of each when it ended', size=None)),
                ('opening_estimated', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='meters whose opening was estimated then; empty: of none', null=True, size=None)),
                ('closing_estimated', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='meters whose closing was estimated then; empty: of none', null=True, size=None)),
                ('kernel', models.SmallIntegerField()),
                ('bill', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='billing.bill')),
                ('schedule', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='tariffs.rateschedule')),
                ('terms', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='consumers.terms')),
            ],
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verdict', models.TextField()),
                ('reason', models.TextField()),
                ('decided_at', models.DateTimeField()),
                ('amount_paise', models.BigIntegerField(help_text="at stake; none where the month's own limits still hold", null=True)),
                ('needs_checker', models.BooleanField(help_text='takes effect only when a second person agrees')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('part', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='jobs.part')),
                ('staff', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('decision', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='billing.decision')),
                ('verdict', models.TextField()),
                ('reason', models.TextField()),
                ('approved_at', models.DateTimeField()),
                ('staff', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='BillRun',
            fields=[
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='jobs.run')),
                ('cycle', models.DateField(help_text='first day of the bill month')),
                ('bill_date', models.DateField()),
                ('due_date', models.DateField()),
                ('rated_on', models.DateField(help_text="whose day's figures its bills bear: the bill date of the month's own run")),
                ('decision', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='billing.decision')),
                ('late_part', models.ForeignKey(help_text='that held it before days or readings came late', null=True, on_delete=django.db.models.deletion.PROTECT, to='jobs.part')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
                ('division', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
            ],
        ),
        migrations.CreateModel(
            name='OldBill',
            fields=[
                ('pk', models.CompositePrimaryKey('connection_id', 'month', blank=True, editable=False, primary_key=True, serialize=False)),
                ('month', models.DateField()),
                ('units_wh', models.BigIntegerField()),
                ('amount_paise', models.BigIntegerField()),
                ('connection', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
            ],
        ),
        migrations.CreateModel(
            name='Unissued',
            fields=[
                ('pk', models.CompositePrimaryKey('part_id', 'connection_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('cycle', models.DateField(help_text="bill month of the part's run")),
                ('outcome', models.TextField()),
                ('reason', models.TextField(help_text='code of the rule')),
                ('detail', models.TextField(help_text='the reason in words')),
                ('evidence', models.JSONField(default=dict)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('part', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='jobs.part')),
            ],
        ),
        migrations.AddIndex(
            model_name='bill',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['part'], name='bill_by_part', pages_per_range=16),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.UniqueConstraint(fields=('connection', 'cycle', 'kind', 'revision'), name='bill_once'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(('payable_paise', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('assessed_paise'), '-', models.F('subsidy_paise')), '-', models.F('rebate_paise')))), name='bill_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(('period_end__gt', models.F('period_start'))), name='bill_period_rises'),
        ),
        migrations.AddConstraint(
            model_name='billingpolicy',
            constraint=models.UniqueConstraint(fields=('discom', 'from_date'), name='billing_policy_dated_once'),
        ),
        migrations.AddConstraint(
            model_name='billrun',
            constraint=models.UniqueConstraint(condition=models.Q(('decision', None), ('late_part', None)), fields=('division', 'cycle'), name='bill_run_once'),
        ),
        migrations.AddConstraint(
            model_name='billrun',
            constraint=models.CheckConstraint(condition=models.Q(('decision', None), ('late_part', None), _connector='OR'), name='bill_run_for_one_cause'),
        ),
        migrations.AddConstraint(
            model_name='billrun',
            constraint=models.CheckConstraint(condition=models.Q(('cycle__day', 1)), name='bill_run_cycle_is_a_month'),
        ),
        migrations.AddConstraint(
            model_name='unissued',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['held', 'parked', 'not due'])), name='unissued_outcome'),
        ),
        migrations.AddIndex(
            model_name='unissued',
            index=models.Index(condition=models.Q(('outcome', 'held')), fields=['cycle'], name='unissued_held'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(('verdict__in', ['release', 'keep'])), name='decision_verdict'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length('reason'), 10), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('reason'), 500)), name='decision_reason'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(('verdict', 'release'), ('needs_checker', False), _connector='OR'), name='decision_kept_alone'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('verdict__in', ['approve', 'refuse'])), name='approval_verdict'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length('reason'), 10), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('reason'), 500)), name='approval_reason'),
        ),
        migrations.RunSQL(AFTER),
    ]
