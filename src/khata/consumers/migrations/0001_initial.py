import django.db.models.deletion
from django.db import migrations, models

AFTER = """
call khata.append_only('consumers_oldnumber');
call khata.append_only('consumers_terms');
call khata.never_deleted('consumers_consumer');
call khata.never_deleted('consumers_connection');

-- Who sees a connection: its consumer, and the offices at or above its division. Each setting in a sub-select,
-- so that it is read once and an index is used; no scope, no rows.
call khata.fence('consumers_connection', $$
    consumer_id = (select nullif(current_setting('khata.consumer', true), '')::bigint)
    or division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                       and (select nullif(current_setting('khata.office_to', true), '')::int) $$);
call khata.fence('consumers_consumer', $$
    id = (select nullif(current_setting('khata.consumer', true), '')::bigint)
    or id in (select consumer_id from consumers_connection) $$);
call khata.fence('consumers_oldnumber', $$ connection_id in (select id from consumers_connection) $$);
call khata.fence('consumers_terms', $$ connection_id in (select id from consumers_connection) $$);

-- Lower rooms know no connection; what they hold about one is fenced here, where connections are known.
call khata.fence('ledger_posting', $$ subject in (select id from consumers_connection) $$);
call khata.fence('ledger_balance', $$ subject in (select id from consumers_connection) $$);
call khata.fence('ledger_entry', $$ id in (select entry_id from ledger_posting) $$);
call khata.fence('notices_message', $$ subject in (select id from consumers_connection) $$);
call khata.refers('notices_message', 'subject', 'consumers_connection');
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('ledger', '0001_initial'),
        ('notices', '0001_initial'),
        ('discoms', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Consumer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField()),
                ('name_key', models.TextField(help_text='name folded for search')),
                ('mobile', models.TextField(blank=True, default='', help_text='as it was given; may be unusable')),
                ('mobile_key', models.TextField(blank=True, db_index=True, default='', help_text='ten digits, or empty')),
                ('language', models.TextField(default='hi')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('mobile_key__regex', '^([6-9][0-9]{9})?$')), name='consumer_mobile_key'), models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='consumer_language')],
            },
        ),
        migrations.CreateModel(
            name='Connection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_number', models.TextField(unique=True)),
                ('address', models.TextField(blank=True, default='')),
                ('connected_on', models.DateField()),
                ('wave', models.TextField(blank=True, default='', help_text='the migration wave that brought it in; empty if new')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
                ('division', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
                ('consumer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.consumer')),
            ],
        ),
        migrations.CreateModel(
            name='OldNumber',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.TextField()),
                ('last_day', models.DateField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.CreateModel(
            name='Terms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_date', models.DateField()),
                ('revision', models.SmallIntegerField(default=0)),
                ('known_at', models.DateTimeField()),
                ('category', models.TextField(help_text='as in the tariff order, e.g. LMV-1')),
                ('area', models.TextField(help_text='urban or rural')),
                ('mode', models.TextField(help_text='postpaid or prepaid')),
                ('load_w', models.IntegerField(help_text='sanctioned load in W')),
                ('ended', models.BooleanField(default=False, help_text='from this day there is no supply')),
                ('connection', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
            ],
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('account_number__regex', '^[0-9]{10}$')), name='account_number_ten_digits'),
        ),
        migrations.AddConstraint(
            model_name='oldnumber',
            constraint=models.UniqueConstraint(fields=('number', 'discom'), name='old_number_once_a_company'),
        ),
        migrations.AddConstraint(
            model_name='oldnumber',
            constraint=models.CheckConstraint(condition=models.Q(('number__regex', '^[0-9]{6,8}$')), name='old_number_six_to_eight_digits'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.UniqueConstraint(fields=('connection', 'from_date', 'revision'), name='terms_dated_once'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.CheckConstraint(condition=models.Q(('load_w__gt', 0)), name='terms_load_above_0'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.CheckConstraint(condition=models.Q(('area__in', ['urban', 'rural'])), name='terms_area'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['postpaid', 'prepaid'])), name='terms_mode'),
        ),
        migrations.RunSQL(AFTER),
    ]
