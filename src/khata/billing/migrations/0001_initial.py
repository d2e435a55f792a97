import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

AFTER = """
-- Numbers are drawn by the thousand; a session that ends early leaves a gap, which bill numbers may have.
alter sequence billing_bill_id_seq cache 100;
call khata.append_only('billing_billingpolicy');
call khata.append_only('billing_billrun');
call khata.append_only('billing_bill');
call khata.append_only('billing_billpart');
call khata.append_only('billing_unissued');
call khata.append_only('billing_oldbill');
call khata.refers('billing_bill', 'connection_id', 'consumers_connection');
call khata.refers('billing_bill', 'entry_id', 'ledger_entry');
call khata.refers('billing_bill', 'part_id', 'jobs_part');
call khata.refers('billing_billpart', 'bill_id', 'billing_bill');
call khata.refers('billing_billpart', 'schedule_id', 'tariffs_rateschedule');
call khata.refers('billing_billpart', 'terms_id', 'consumers_terms');
call khata.fence('billing_bill', $$ connection_id in (select id from consumers_connection) $$);
call khata.fence('billing_billpart', $$ bill_id in (select id from billing_bill) $$);
call khata.fence('billing_oldbill', $$ connection_id in (select id from consumers_connection) $$);
call khata.fence('billing_unissued');
call khata.fence('billing_billrun');
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
                ('demand_w', models.IntegerField()),
                ('energy_wh', models.BigIntegerField()),
                ('lines_paise', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('meters', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='meters that measured it, one after the other', size=None)),
                ('opening_wh', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='register of each when the part began', size=None)),
                ('closing_wh', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='register of each when it ended', size=None)),
                ('kernel', models.SmallIntegerField()),
                ('bill', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='billing.bill')),
                ('schedule', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='tariffs.rateschedule')),
                ('terms', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='consumers.terms')),
            ],
        ),
        migrations.CreateModel(
            name='BillRun',
            fields=[
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='jobs.run')),
                ('cycle', models.DateField(help_text='first day of the bill month')),
                ('bill_date', models.DateField()),
                ('due_date', models.DateField()),
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
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
            ],
        ),
        migrations.CreateModel(
            name='Unissued',
            fields=[
                ('pk', models.CompositePrimaryKey('part_id', 'connection_id', blank=True, editable=False, primary_key=True, serialize=False)),
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
            constraint=models.UniqueConstraint(fields=('division', 'cycle'), name='bill_run_once'),
        ),
        migrations.AddConstraint(
            model_name='billrun',
            constraint=models.CheckConstraint(condition=models.Q(('cycle__day', 1)), name='bill_run_cycle_is_a_month'),
        ),
        migrations.AddConstraint(
            model_name='unissued',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['held', 'parked', 'not due'])), name='unissued_outcome'),
        ),
        migrations.RunSQL(AFTER),
    ]
