import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

METER_DAY = """
create table metering_meterday (
    meter_id bigint not null,
    day date not null,
    revision smallint not null,
    blocks_wh int4[] check (array_length(blocks_wh, 1) = 48),
    total_wh int4 check (total_wh >= 0),
    register_wh int8 check (register_wh >= 0),
    demand_w int4 check (demand_w >= 0),
    quality smallint not null,
    delivery bigint not null,
    -- Bills of flat tariffs read registers, totals and demand from this index and never touch a half-hour.
    primary key (meter_id, day, revision) include (total_wh, register_wh, demand_w)
) partition by range (day);
"""

AFTER = """
call khata.append_only('metering_installation');
call khata.append_only('metering_reading');
call khata.append_only('metering_meterday');
call khata.append_only('metering_delivery');
call khata.append_only('metering_quarantine');
call khata.never_deleted('metering_meter');
call khata.never_deleted('metering_readingcycle');
-- A meter's number stands on the bills of whoever it hung at.
call khata.fence('metering_installation', $$ exists (select from consumers_connection c where c.id = connection_id) $$);
call khata.fence('metering_meter', $$ exists (select from metering_installation i where i.meter_id = metering_meter.id) $$);
call khata.fence('metering_reading');
call khata.fence('metering_meterday');
call khata.fence('metering_delivery');
call khata.fence('metering_quarantine');
call khata.refers('metering_meterday', 'meter_id', 'metering_meter');
-- A wave brings the meters of a whole company at once.
call khata.refers('metering_meter', 'discom_id', 'discoms_discom');
call khata.refers('metering_installation', 'connection_id', 'consumers_connection');
call khata.refers('metering_installation', 'meter_id', 'metering_meter');
call khata.refers('metering_installation', 'cycle_id', 'metering_readingcycle');
call khata.refers('metering_reading', 'meter_id', 'metering_meter');

-- The door through which pages see meter days: those of one connection that the scope may see, each meter only while it
-- hung there. A policy could not say that without joining every row; this asks once who asks. It gives what the index
-- holds and no more: one column else, and each day costs a read of the table.
create function khata.meter_days(connection bigint, first date, until date)
returns table (day date, total_wh int, register_wh bigint, demand_w int)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare hung record;
begin
    if not exists (
        select from consumers_connection c where c.id = meter_days.connection and c.live
        and (c.consumer_id = nullif(current_setting('khata.consumer', true), '')::bigint
             or c.division_id between nullif(current_setting('khata.office_from', true), '')::int
                                  and nullif(current_setting('khata.office_to', true), '')::int)
    ) then
        return;
    end if;
    for hung in
        select s.meter_id, greatest(s.from_date, meter_days.first) as low,
               least(coalesce(lead(s.from_date) over (order by s.from_date), meter_days.until), meter_days.until) as high
        from (select distinct on (i.from_date) i.meter_id, i.from_date from metering_installation i
              where i.connection_id = meter_days.connection order by i.from_date, i.revision desc) s
        order by s.from_date
    loop
        if hung.meter_id is not null and hung.low < hung.high then
            return query
            select distinct on (d.day) d.day, d.total_wh, d.register_wh, d.demand_w
            from metering_meterday d where d.meter_id = hung.meter_id and d.day >= hung.low and d.day < hung.high
            order by d.day, d.revision desc;
        end if;
    end loop;
end $$;
revoke execute on function khata.meter_days(bigint, date, date) from public;
grant execute on function khata.meter_days(bigint, date, date) to khata_app;

-- `run` may not create tables; this makes the partition of one month for it. There is no default partition: once it
-- held a row of a month, that month's partition could not be made. Attached, because `partition of` would keep every
-- reader of meter days waiting until the transaction ends.
create function khata.make_meter_month(day date) returns void language plpgsql security definer set search_path = public, pg_temp as $$
declare month date := date_trunc('month', day);
begin
    if to_regclass(format('metering_meterday_%s', to_char(month, 'YYYYMM'))) is null then
        perform pg_advisory_xact_lock(hashtext('khata.make_meter_month'));
        if to_regclass(format('metering_meterday_%s', to_char(month, 'YYYYMM'))) is not null then
            return;  -- made by another while we waited
        end if;
        execute format('create table metering_meterday_%s (like metering_meterday including constraints)',
                       to_char(month, 'YYYYMM'));
        execute format('alter table metering_meterday attach partition metering_meterday_%s for values from (%L) to (%L)',
                       to_char(month, 'YYYYMM'), month, month + interval '1 month');
        execute format('revoke all on metering_meterday_%s from khata_app, khata_run', to_char(month, 'YYYYMM'));
        -- The trigger of the whole table does not see statements that name a partition.
        execute format('call khata.append_only(%L)', 'metering_meterday_' || to_char(month, 'YYYYMM'));
    end if;
end $$;
revoke execute on function khata.make_meter_month(date) from public;
grant execute on function khata.make_meter_month(date) to khata_run;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('consumers', '0001_initial'),
        ('discoms', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha256', models.TextField(unique=True)),
                ('sender', models.TextField()),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('received', models.IntegerField()),
                ('stored', models.IntegerField()),
                ('repeated', models.IntegerField()),
                ('quarantined', models.IntegerField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('received', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('stored'), '+', models.F('repeated')), '+', models.F('quarantined')))), name='delivery_equation')],
            },
        ),
        migrations.CreateModel(
            name='Meter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('serial', models.TextField()),
                ('smart', models.BooleanField()),
                ('discom', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(METER_DAY)],
            state_operations=[
                migrations.CreateModel(
                    name='MeterDay',
                    fields=[
                        ('pk', models.CompositePrimaryKey('meter_id', 'day', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('day', models.DateField()),
                        ('revision', models.SmallIntegerField()),
                        ('blocks_wh', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(null=True), null=True, size=48)),
                        ('total_wh', models.IntegerField(null=True)),
                        ('register_wh', models.BigIntegerField(null=True)),
                        ('demand_w', models.IntegerField(null=True)),
                        ('quality', models.SmallIntegerField(help_text='1 measured, 2 measured with unknown half-hours')),
                        ('delivery', models.BigIntegerField()),
                        ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='metering.meter')),
                    ],
                ),
            ],
        ),
        migrations.CreateModel(
            name='Quarantine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.IntegerField()),
                ('check_number', models.TextField(help_text='VAL-nn')),
                ('serial', models.TextField()),
                ('day', models.DateField()),
                ('total_wh', models.BigIntegerField(null=True)),
                ('reason', models.TextField()),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='metering.delivery')),
            ],
        ),
        migrations.CreateModel(
            name='ReadingCycle',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.TextField()),
                ('read_day', models.SmallIntegerField()),
                ('every_months', models.SmallIntegerField(default=1)),
                ('first_month', models.DateField(help_text='first day of a month in which it is read')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.CreateModel(
            name='Installation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_date', models.DateField()),
                ('revision', models.SmallIntegerField(default=0)),
                ('known_at', models.DateTimeField()),
                ('factor', models.IntegerField(db_default=1, help_text='what the dial shows, times this, is the energy; registers here are after it')),
                ('connection', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('meter', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='metering.meter')),
                ('cycle', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='metering.readingcycle')),
            ],
        ),
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('pk', models.CompositePrimaryKey('meter_id', 'day', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('revision', models.SmallIntegerField(default=0)),
                ('register_wh', models.BigIntegerField()),
                ('demand_w', models.IntegerField()),
                ('source', models.TextField(help_text='reader, final, initial, migration')),
                ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.meter')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('source', 'migration')), fields=['meter', 'day'], name='reading_brought')],
                'constraints': [models.CheckConstraint(condition=models.Q(('register_wh__gte', 0), ('demand_w__gte', 0)), name='reading_not_negative')],
            },
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.UniqueConstraint(fields=('serial',), name='meter_serial_once'),
        ),
        migrations.AddConstraint(
            model_name='readingcycle',
            constraint=models.UniqueConstraint(fields=('discom', 'code'), name='reading_cycle_coded_once'),
        ),
        migrations.AddConstraint(
            model_name='readingcycle',
            constraint=models.CheckConstraint(condition=models.Q(('read_day__range', (1, 28))), name='reading_cycle_day'),
        ),
        migrations.AddConstraint(
            model_name='readingcycle',
            constraint=models.CheckConstraint(condition=models.Q(('every_months__in', [1, 2])), name='reading_cycle_months'),
        ),
        migrations.AddConstraint(
            model_name='installation',
            constraint=models.UniqueConstraint(fields=('connection', 'from_date', 'revision'), name='installation_dated_once'),
        ),
        migrations.RunSQL(AFTER),
    ]
