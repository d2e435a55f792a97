import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

METER_DAY = """
create table metering_meterday (
    meter_id bigint not null,
    day date not null,
    channel smallint not null default 0 check (channel between 0 and 5),
    revision smallint not null,
    origin smallint not null check (origin between 1 and 4),
    known smallint not null check (known between 0 and 48),
    total_wh int4 check (total_wh >= 0),
    demand_w int4 check (demand_w >= 0),
    register_wh int8 check (register_wh >= 0),
    off int8 check (off between 0 and 281474976710655),
    delivery bigint not null,
    blocks_wh int4[] check (array_length(blocks_wh, 1) = 48),
    origins text check (length(origins) = 48),
    rule text check (origin <> 1 or origins is not null or rule is null),
    -- Bills of flat tariffs, and the lists of what is missing, read this index and never touch a half-hour.
    primary key (meter_id, day, channel, revision) include (register_wh, total_wh, demand_w, origin, known)
) partition by range (day);
-- Days lie in the order of their deliveries: a few bytes for each MiB are enough to find those of one.
create index meter_day_of_delivery on metering_meterday using brin (delivery) with (pages_per_range = 32);
"""

AFTER = """
call khata.append_only('metering_installation');
call khata.append_only('metering_reading');
call khata.append_only('metering_meterday');
call khata.append_only('metering_delivery');
call khata.append_only('metering_quarantine');
call khata.append_only('metering_finding');
call khata.append_only('metering_feed');
call khata.append_only('metering_upload');
call khata.append_only('metering_uploaddone');
call khata.append_only('metering_swept');
call khata.never_deleted('metering_sender');
call khata.never_deleted('metering_meter');
call khata.never_deleted('metering_readingcycle');
-- A meter's number stands on the bills of whoever it hung at.
call khata.fence('metering_installation', $$ exists (select from consumers_connection c where c.id = connection_id) $$);
call khata.fence('metering_meter', $$ exists (select from metering_installation i where i.meter_id = metering_meter.id) $$);
call khata.fence('metering_reading');
call khata.fence('metering_meterday');
call khata.fence('metering_delivery');
call khata.fence('metering_quarantine');
call khata.fence('metering_finding');
call khata.fence('metering_feed');
call khata.fence('metering_sender');
call khata.fence('metering_usual');
call khata.fence('metering_upload');
call khata.fence('metering_uploaddone');
call khata.fence('metering_swept');
call khata.fence('metering_owedday');
call khata.fence('metering_openrow');
call khata.fence('metering_opencount');
call khata.fence('metering_notedrow');
call khata.fence('metering_uploadwaiting');
call khata.fence('metering_notedday');
call khata.fence('metering_scoremade');
-- Derived from what is stored, and made anew each night.
grant update, delete on metering_usual, metering_owedday, metering_openrow, metering_opencount, metering_notedrow,
    metering_notedday, metering_scoremade to khata_run;
-- A credential is renewed and a sender closed in place; its deliveries keep pointing at it.
grant update (name, token_hash, active, most_waiting, most_waiting_bytes) on metering_sender to khata_run;
call khata.refers('metering_meterday', 'meter_id', 'metering_meter');
-- A wave brings the meters of a whole company at once.
call khata.refers('metering_meter', 'discom_id', 'discoms_discom');
call khata.refers('metering_installation', 'connection_id', 'consumers_connection');
call khata.refers('metering_installation', 'meter_id', 'metering_meter');
call khata.refers('metering_installation', 'cycle_id', 'metering_readingcycle');
call khata.refers('metering_reading', 'meter_id', 'metering_meter');
call khata.refers('metering_finding', 'meter_id', 'metering_meter');
call khata.refers('metering_finding', 'delivery_id', 'metering_delivery');
call khata.refers('metering_feed', 'meter_id', 'metering_meter');
call khata.refers('metering_feed', 'sender_id', 'metering_sender');
call khata.refers('metering_usual', 'meter_id', 'metering_meter');
call khata.refers('metering_upload', 'sender_id', 'metering_sender');

-- The doors through which pages see meter days: those of one connection that the scope may see, each meter only while
-- it hung there. A policy could not say that without joining every row; these ask once who asks.
create function khata.meters_seen(connection bigint, first date, until date)
returns table (meter bigint, low date, high date) language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    if not exists (
        select from consumers_connection c where c.id = meters_seen.connection and c.live
        and (c.consumer_id = khata.scope('consumer') or c.id = khata.scope('connection')
             or c.division_id between khata.scope('office_from') and khata.scope('office_to'))
    ) then
        return;
    end if;
    return query
    select h.meter_id, h.low, h.high
    from (select s.meter_id, greatest(s.from_date, meters_seen.first) as low,
                 least(coalesce(lead(s.from_date) over (order by s.from_date), meters_seen.until), meters_seen.until) as high
          from (select distinct on (i.from_date) i.meter_id, i.from_date from metering_installation i
                where i.connection_id = meters_seen.connection order by i.from_date, i.revision desc) s) h
    where h.meter_id is not null and h.low < h.high
    order by h.low;
end $$;

-- What the index holds and no more: one column else, and each day costs a read of the table.
create function khata.meter_days(connection bigint, first date, until date)
returns table (day date, total_wh int, register_wh bigint, demand_w int, origin smallint, known smallint)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare hung record;
begin
    for hung in select * from khata.meters_seen(meter_days.connection, meter_days.first, meter_days.until) loop
        return query
        select distinct on (d.day) d.day, d.total_wh, d.register_wh, d.demand_w, d.origin, d.known
        from metering_meterday d
        where d.meter_id = hung.meter and d.day >= hung.low and d.day < hung.high and d.channel = 0
        order by d.day, d.revision desc;
    end loop;
end $$;

-- With the half-hours, for one day or a month of them; and when each arrived.
create function khata.meter_half_hours(connection bigint, first date, until date, channel smallint default 0)
returns table (day date, blocks_wh int4[], total_wh int, register_wh bigint, demand_w int, origin smallint, known smallint,
    origins text, off bigint, rule text, received_at timestamptz)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare hung record;
begin
    for hung in select * from khata.meters_seen(meter_half_hours.connection, meter_half_hours.first, meter_half_hours.until) loop
        return query
        select d.day, d.blocks_wh, d.total_wh, d.register_wh, d.demand_w, d.origin, d.known, d.origins, d.off, d.rule,
            v.received_at
        from (select distinct on (m.day) m.* from metering_meterday m
              where m.meter_id = hung.meter and m.day >= hung.low and m.day < hung.high
                  and m.channel = meter_half_hours.channel
              order by m.day, m.revision desc) d
        left join metering_delivery v on v.id = d.delivery
        order by d.day;
    end loop;
end $$;
revoke execute on function khata.meters_seen(bigint, date, date) from public;
revoke execute on function khata.meter_days(bigint, date, date) from public;
revoke execute on function khata.meter_half_hours(bigint, date, date, smallint) from public;
grant execute on function khata.meter_days(bigint, date, date) to khata_app;
grant execute on function khata.meter_half_hours(bigint, date, date, smallint) to khata_app;

-- In which divisions a meter hung at a live connection on a day: two where it stands at two.
create function khata.hung_in(meter bigint, on_day date) returns table (division int) language sql stable as $$
    select distinct c.division_id from metering_installation i
    join consumers_connection c on c.id = i.connection_id and c.live
    where i.meter_id = hung_in.meter and i.from_date <= hung_in.on_day and not exists (
        select from metering_installation n where n.connection_id = i.connection_id
        and n.from_date <= hung_in.on_day and (n.from_date, n.revision) > (i.from_date, i.revision))
$$;
grant execute on function khata.hung_in(bigint, date) to khata_run;

-- The doors of the officers' pages: who owes what, what is in quarantine, what the checks noted; of the offices of the
-- scope alone, and no names. A row of no division belongs to the company's own office, which only its range holds.
create function khata.score_made() returns timestamptz
language sql stable security definer set search_path = public, pg_temp as $$
    select s.made_at from metering_scoremade s where khata.scope('office_from') is not null
$$;
create function khata.owed_days(first date, until date)
returns table (sender text, sender_name text, division int, day date, meters int, expected bigint, received bigint,
    totals_only int, silent int, made_at timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    select n.code, n.name, o.division, o.day, o.meters, o.expected, o.received, o.totals_only, o.silent, o.made_at
    from metering_owedday o left join metering_sender n on n.id = o.sender
    where o.division between khata.scope('office_from') and khata.scope('office_to')
        and o.day >= owed_days.first and o.day < owed_days.until
    order by n.code nulls last, o.division, o.day
$$;
-- The office of the scope, where what is counted of it and all below it is kept under its number.
create function khata.own_office() returns int language sql stable as $$
    select o.id from discoms_office o where o.id = khata.scope('office_from') and o.last = khata.scope('office_to')
$$;
create function khata.open_counts()
returns table (rule text, owner text, many int, oldest date)
language sql stable security definer set search_path = public, pg_temp as $$
    select c.rule, c.owner, c.count, c.oldest from metering_opencount c
    where c.office = khata.own_office() order by 1, 2
$$;
-- Texts from outside come cut; the oldest first.
create function khata.open_rows(of_rule text, of_owner text, most int, skipped int)
returns table (serial text, day date, channel smallint, rule text, owner text, reason text, content text, line int,
    delivery bigint, delivery_name text, sender text, received_at timestamptz, since date)
language sql stable security definer set search_path = public, pg_temp as $$
    select left(q.serial, 40), q.day, q.channel, q.rule, q.owner, left(q.reason, 300), left(q.content, 200), q.line,
        v.id, left(v.name, 80), n.code, v.received_at, o.since
    from (select r.quarantine, min(r.since) as since from metering_openrow r
          where r.office between khata.scope('office_from') and khata.scope('office_to')
              and (open_rows.of_rule = '' or r.rule = open_rows.of_rule)
              and (open_rows.of_owner = '' or r.owner = open_rows.of_owner)
          group by r.quarantine order by min(r.since), r.quarantine limit least(open_rows.most, 1000)
          offset open_rows.skipped) o
    join metering_quarantine q on q.id = o.quarantine
    join metering_delivery v on v.id = q.delivery_id join metering_sender n on n.id = v.sender_id
    order by o.since, q.id
$$;
create function khata.noted_counts(first date, until date) returns table (rule text, many bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select d.rule, sum(d.count) from metering_notedday d
    where d.office = khata.own_office() and d.day >= noted_counts.first and d.day < noted_counts.until
    group by 1 order by 1
$$;
create function khata.noted_rows(first date, until date, of_rule text, most int, skipped int)
returns table (serial text, day date, channel smallint, rule text, evidence jsonb, delivery bigint, sender text,
    received_at timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    select left(m.serial, 40), f.day, f.channel, f.rule, f.evidence, v.id, n.code, v.received_at
    from (select r.day, r.rule, r.meter, r.channel, r.revision from metering_notedrow r
          where r.office = khata.own_office() and r.day >= noted_rows.first and r.day < noted_rows.until
              and (noted_rows.of_rule = '' or r.rule = noted_rows.of_rule)
          order by r.day desc, r.rule desc, r.meter desc, r.channel desc, r.revision desc  -- the key backwards: no sort
          limit least(noted_rows.most, 1000) offset noted_rows.skipped) k
    join metering_finding f on f.meter_id = k.meter and f.day = k.day and f.channel = k.channel
        and f.revision = k.revision and f.rule = k.rule
    join metering_meter m on m.id = f.meter_id
    join metering_delivery v on v.id = f.delivery_id join metering_sender n on n.id = v.sender_id
    order by f.day desc, f.rule desc, f.meter_id desc, f.channel desc, f.revision desc
$$;
revoke execute on function khata.score_made() from public;
revoke execute on function khata.owed_days(date, date) from public;
revoke execute on function khata.open_counts() from public;
revoke execute on function khata.open_rows(text, text, int, int) from public;
revoke execute on function khata.noted_counts(date, date) from public;
revoke execute on function khata.noted_rows(date, date, text, int, int) from public;
grant execute on function khata.score_made, khata.owed_days, khata.open_counts, khata.open_rows, khata.noted_counts,
    khata.noted_rows to khata_app;

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

-- The doors for who sends meter data by the network: no scope, but the hash of a credential as proof. The web keeps the
-- file and notes it here; what is in it only a worker stores.
create function khata.sender_with(credential text) returns table (id bigint, code text)
language sql stable security definer set search_path = public, pg_temp as $$
    select s.id, s.code from metering_sender s
    where s.token_hash = sender_with.credential and s.active and sender_with.credential <> ''
$$;

-- Which uploads wait for a worker is kept beside them: a sender has few that wait, and a hundred thousand that are done.
create function khata.await_upload() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if tg_table_name = 'metering_upload' then
        insert into metering_uploadwaiting (upload_id, sender, size) values (new.id, new.sender_id, new.size);
    else
        delete from metering_uploadwaiting w where w.upload_id = new.upload_id;
    end if;
    return null;
end $$;
revoke execute on function khata.await_upload() from public;
create trigger waits after insert on metering_upload for each row execute function khata.await_upload();
create trigger waits_no_more after insert on metering_uploaddone for each row execute function khata.await_upload();
revoke insert on metering_uploadwaiting from khata_run;

-- What of a sender waits, how much of it may, and whether an upload of so many bytes may not wait beside it. One alone
-- always may: an installation's largest body bounds it. So may a key's that is there already: it comes not again.
create function khata.uploads_waiting(credential text, idempotency text, size bigint)
returns table (uploads bigint, bytes bigint, most int, most_bytes bigint, is_full boolean)
language sql stable security definer set search_path = public, pg_temp as $$
    select h.uploads, h.bytes, s.most_waiting, s.most_waiting_bytes,
        (h.uploads >= s.most_waiting or (h.uploads > 0 and h.bytes + uploads_waiting.size > s.most_waiting_bytes))
        and not exists (select from metering_upload k where k.sender_id = s.id and k.key <> ''
                        and k.key = uploads_waiting.idempotency)
    from khata.sender_with(uploads_waiting.credential) w join metering_sender s on s.id = w.id
    cross join lateral (select count(*) as uploads, coalesce(sum(u.size), 0)::bigint as bytes
                        from metering_uploadwaiting u where u.sender = s.id) h
$$;
-- The same key, or the same bytes with nothing left to judge again, are the upload that is there already. Nothing is noted
-- and made null where as much waits of the sender as may: counted under its lock, so that two at once are two.
create function khata.note_upload(credential text, upload uuid, said_form text, said_name text, hash text, bytes bigint,
    idempotency text)
returns table (noted uuid, made boolean, differs boolean) language plpgsql security definer set search_path = public, pg_temp as $$
declare whose bigint; found_upload metering_upload;
begin
    select w.id into whose from khata.sender_with(note_upload.credential) w;
    if whose is null then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('khata.note_upload', whose));
    select u.* into found_upload from metering_upload u
    where u.sender_id = whose and u.key = note_upload.idempotency and note_upload.idempotency <> '';
    if found then
        return query select found_upload.id, false, (found_upload.sha256, found_upload.form) <> (note_upload.hash, note_upload.said_form);
        return;
    end if;
    select u.* into found_upload from metering_upload u
    left join metering_uploaddone d on d.upload_id = u.id left join metering_delivery v on v.id = d.delivery_id
    where u.sender_id = whose and u.sha256 = note_upload.hash and u.form = note_upload.said_form
        and (d.upload_id is null or v.quarantined = 0)
    order by u.received_at desc limit 1;
    if found then
        return query select found_upload.id, false, false;
        return;
    end if;
    if (select w.is_full from khata.uploads_waiting(note_upload.credential, '', note_upload.bytes) w) then
        return query select null::uuid, false, false;
        return;
    end if;
    insert into metering_upload (id, sender_id, received_at, form, name, sha256, size, key)
    values (note_upload.upload, whose, clock_timestamp(), note_upload.said_form, note_upload.said_name, note_upload.hash,
        note_upload.bytes, note_upload.idempotency);
    return query select note_upload.upload, true, false;
end $$;

-- What became of an upload of one's own; `before`: its bytes had been received in an earlier delivery.
create function khata.upload_seen(credential text, upload uuid)
returns table (received_at timestamptz, form text, name text, sha256 text, size bigint, done_at timestamptz, refusal jsonb,
    delivery bigint, before boolean, rows int, accepted int, repeated int, superseding int, quarantined int,
    failed jsonb, noted jsonb)
language sql stable security definer set search_path = public, pg_temp as $$
    select u.received_at, u.form, u.name, u.sha256, u.size, d.done_at, d.refusal, v.id, v.received_at < u.received_at,
        v.rows, v.accepted, v.repeated, v.superseding, v.quarantined,
        (select coalesce(jsonb_agg(to_jsonb(f) order by f.rule, f.owner), '[]') from (
            select q.rule, q.owner, min(q.reason) as reason, count(*) as count,
                (array_agg(q.line order by q.line))[:5] as lines
            from metering_quarantine q where q.delivery_id = v.id group by q.rule, q.owner) f),
        (select coalesce(jsonb_agg(to_jsonb(n) order by n.rule), '[]') from (
            select x.rule, count(*) as count from metering_finding x where x.delivery_id = v.id group by x.rule) n)
    from metering_upload u join khata.sender_with(upload_seen.credential) w on w.id = u.sender_id
    left join metering_uploaddone d on d.upload_id = u.id left join metering_delivery v on v.id = d.delivery_id
    where u.id = upload_seen.upload
$$;
revoke execute on function khata.sender_with(text) from public;
revoke execute on function khata.note_upload(text, uuid, text, text, text, bigint, text) from public;
revoke execute on function khata.upload_seen(text, uuid) from public;
revoke execute on function khata.uploads_waiting(text, text, bigint) from public;
grant execute on function khata.sender_with, khata.note_upload, khata.upload_seen, khata.uploads_waiting to khata_app, khata_run;
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
                ('sha256', models.TextField(db_index=True)),
                ('form', models.TextField(help_text='which reader read it')),
                ('name', models.TextField(blank=True, help_text='of the file, without its folder')),
                ('size', models.BigIntegerField(help_text='bytes as they came')),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('today', models.DateField(help_text='the business day on which it was judged')),
                ('rows', models.IntegerField()),
                ('accepted', models.IntegerField(help_text='of which nothing was stored before')),
                ('repeated', models.IntegerField(help_text='said what was stored already')),
                ('superseding', models.IntegerField(help_text='stored as a new revision')),
                ('quarantined', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Meter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('serial', models.TextField()),
                ('smart', models.BooleanField()),
                ('kind', models.TextField(db_default='', help_text='single phase, three phase, transformer; empty where not known')),
                ('register_digits', models.SmallIntegerField(db_default=0, help_text='whole kWh digits before the register begins again at 0; 0 where not known')),
                ('discom', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.CreateModel(
            name='Sender',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.TextField(unique=True)),
                ('name', models.TextField()),
                ('token_hash', models.TextField(blank=True, db_default='', help_text='SHA-256 of the credential; empty: none')),
                ('active', models.BooleanField(db_default=True)),
                ('most_waiting', models.IntegerField(db_default=1000, help_text='of its uploads may wait for a worker')),
                ('most_waiting_bytes', models.BigIntegerField(db_default=4294967296, help_text='of them together; one alone may always wait')),
            ],
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('received_at', models.DateTimeField()),
                ('form', models.TextField()),
                ('name', models.TextField(blank=True)),
                ('sha256', models.TextField()),
                ('size', models.BigIntegerField()),
                ('key', models.TextField(blank=True, help_text='by which the sender may send it again without a second effect')),
                ('sender', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.sender')),
            ],
            options={
                'indexes': [models.Index(fields=['sender', 'sha256'], name='upload_of_bytes')],
            },
        ),
        migrations.CreateModel(
            name='UploadWaiting',
            fields=[
                ('upload', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='metering.upload')),
                ('sender', models.BigIntegerField(db_index=True)),
                ('size', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Usual',
            fields=[
                ('meter', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, serialize=False, to='metering.meter')),
                ('made_on', models.DateField()),
                ('days', models.SmallIntegerField(help_text='how many measured days of the last weeks it rests on')),
                ('total_wh', models.IntegerField(help_text='median of a day; -1 where there are too few')),
                ('peak_wh', models.IntegerField(help_text="the median day's largest half-hour; -1 where there are too few")),
                ('zero_days', models.SmallIntegerField(help_text='measured days without any energy, in a row up to the last')),
                ('load_w', models.IntegerField(help_text='sanctioned load of the connection; -1 where it hangs nowhere')),
                ('hangs', models.SmallIntegerField(help_text='at how many live connections')),
                ('division', models.IntegerField(null=True)),
                ('sender', models.BigIntegerField(help_text='who owes its days', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='OwedDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sender', models.BigIntegerField(help_text='empty: nobody is recorded', null=True)),
                ('division', models.IntegerField()),
                ('day', models.DateField()),
                ('meters', models.IntegerField()),
                ('expected', models.BigIntegerField(help_text='half-hours')),
                ('received', models.BigIntegerField(help_text='half-hours measured')),
                ('totals_only', models.IntegerField(help_text="meters that sent the day's energy without half-hours")),
                ('silent', models.IntegerField(help_text='meters that sent nothing of the day')),
                ('made_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['division', 'day'], name='owed_of_a_division')],
            },
        ),
        migrations.CreateModel(
            name='OpenRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quarantine', models.BigIntegerField()),
                ('office', models.IntegerField(help_text='the division where its meter hangs; of a meter that hangs nowhere: company')),
                ('rule', models.TextField()),
                ('owner', models.TextField()),
                ('since', models.DateField(help_text='the business day on which the sender first sent it')),
            ],
            options={
                'indexes': [models.Index(fields=['office', 'since'], name='open_of_an_office')],
                'constraints': [models.UniqueConstraint(fields=('quarantine', 'office'), name='open_row_once')],
            },
        ),
        migrations.CreateModel(
            name='OpenCount',
            fields=[
                ('pk', models.CompositePrimaryKey('office', 'rule', 'owner', blank=True, editable=False, primary_key=True, serialize=False)),
                ('office', models.IntegerField()),
                ('rule', models.TextField()),
                ('owner', models.TextField()),
                ('count', models.IntegerField()),
                ('oldest', models.DateField(help_text='since when the oldest of them is open')),
            ],
        ),
        migrations.CreateModel(
            name='NotedRow',
            fields=[
                ('pk', models.CompositePrimaryKey('office', 'day', 'rule', 'meter', 'channel', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                ('office', models.IntegerField()),
                ('day', models.DateField()),
                ('rule', models.TextField()),
                ('meter', models.BigIntegerField()),
                ('channel', models.SmallIntegerField()),
                ('revision', models.SmallIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='NotedDay',
            fields=[
                ('pk', models.CompositePrimaryKey('office', 'day', 'rule', blank=True, editable=False, primary_key=True, serialize=False)),
                ('office', models.IntegerField()),
                ('day', models.DateField()),
                ('rule', models.TextField()),
                ('count', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='ScoreMade',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField()),
                ('delivery', models.BigIntegerField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='score_made_once')],
            },
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('pk', models.CompositePrimaryKey('meter_id', 'day', 'channel', 'revision', 'rule', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('channel', models.SmallIntegerField(choices=[(0, 'Import'), (1, 'Export'), (2, 'Apparent Import'), (3, 'Apparent Export'), (4, 'Reactive Lag'), (5, 'Reactive Lead')], help_text='or 7: a register that was read, not a meter day')),
                ('revision', models.SmallIntegerField()),
                ('rule', models.TextField(help_text='VAL-nn')),
                ('evidence', models.JSONField(help_text='the numbers that gave rise to it, and the limit')),
                ('delivery', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='metering.delivery')),
                ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='metering.meter')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('rule', 'VAL-15')), fields=['day', 'meter'], name='finding_of_a_register'), models.Index(fields=['day', 'rule'], name='finding_of_a_day')],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(METER_DAY)],
            state_operations=[
                migrations.CreateModel(
                    name='MeterDay',
                    fields=[
                        ('pk', models.CompositePrimaryKey('meter_id', 'day', 'channel', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('day', models.DateField()),
                        ('channel', models.SmallIntegerField(choices=[(0, 'Import'), (1, 'Export'), (2, 'Apparent Import'), (3, 'Apparent Export'), (4, 'Reactive Lag'), (5, 'Reactive Lead')], db_default=0)),
                        ('revision', models.SmallIntegerField()),
                        ('blocks_wh', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(null=True), null=True, size=48)),
                        ('total_wh', models.IntegerField(null=True)),
                        ('register_wh', models.BigIntegerField(null=True)),
                        ('demand_w', models.IntegerField(null=True)),
                        ('origin', models.SmallIntegerField(choices=[(1, 'Actual'), (2, 'Estimated'), (3, 'Substituted'), (4, 'Edited')], help_text='of the total; of the half-hours where `origins` is empty')),
                        ('known', models.SmallIntegerField(help_text='how many half-hours were measured, 0 to 48')),
                        ('origins', models.TextField(help_text='48 letters A E S D, - unknown, where half-hours differ from each other', null=True)),
                        ('off', models.BigIntegerField(help_text='bit n-1: no supply in half-hour n; empty where nobody said', null=True)),
                        ('rule', models.TextField(help_text='the rule (EST-nn) that made what is not actual', null=True)),
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
                ('rule', models.TextField(help_text='VAL-nn')),
                ('owner', models.TextField(help_text='sender, division or metering: who has to act')),
                ('serial', models.TextField(blank=True)),
                ('day', models.DateField(null=True)),
                ('channel', models.SmallIntegerField(choices=[(0, 'Import'), (1, 'Export'), (2, 'Apparent Import'), (3, 'Apparent Export'), (4, 'Reactive Lag'), (5, 'Reactive Lead')], help_text='or 7: a register that was read', null=True)),
                ('total_wh', models.BigIntegerField(null=True)),
                ('reason', models.TextField()),
                ('content', models.TextField(blank=True, help_text='the row as it came, cut to 2,000 characters; or empty')),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='metering.delivery')),
            ],
        ),
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('pk', models.CompositePrimaryKey('meter_id', 'day', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('revision', models.SmallIntegerField(default=0)),
                ('register_wh', models.BigIntegerField()),
                ('demand_w', models.IntegerField(null=True)),
                ('source', models.TextField(help_text='reader, final, initial, migration, billing profile')),
                ('delivery', models.BigIntegerField(help_text='that brought it; empty where it came in none', null=True)),
                ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.meter')),
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
            name='Feed',
            fields=[
                ('pk', models.CompositePrimaryKey('meter_id', 'from_date', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                ('from_date', models.DateField()),
                ('revision', models.SmallIntegerField(db_default=0)),
                ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.meter')),
                ('sender', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='metering.sender')),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='sender',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='metering.sender'),
        ),
        migrations.CreateModel(
            name='Swept',
            fields=[
                ('delivery', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='metering.delivery')),
            ],
        ),
        migrations.CreateModel(
            name='UploadDone',
            fields=[
                ('upload', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='metering.upload')),
                ('refusal', models.JSONField(help_text='what, where, the next step', null=True)),
                ('done_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.UniqueConstraint(fields=('serial',), name='meter_serial_once'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.CheckConstraint(condition=models.Q(('register_digits__range', (0, 12))), name='meter_register_digits'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(condition=models.Q(('source', 'migration')), fields=['meter', 'day'], name='reading_brought'),
        ),
        migrations.AddConstraint(
            model_name='reading',
            constraint=models.CheckConstraint(condition=models.Q(('register_wh__gte', 0), ('demand_w__gte', 0)), name='reading_not_negative'),
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
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('rows', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('accepted'), '+', models.F('repeated')), '+', models.F('superseding')), '+', models.F('quarantined')))), name='delivery_equation'),
        ),
        migrations.AddField(
            model_name='uploaddone',
            name='delivery',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='metering.delivery'),
        ),
        migrations.AddConstraint(
            model_name='sender',
            constraint=models.UniqueConstraint(condition=models.Q(('token_hash', ''), _negated=True), fields=('token_hash',), name='sender_credential_once'),
        ),
        migrations.AddConstraint(
            model_name='sender',
            constraint=models.CheckConstraint(condition=models.Q(('most_waiting__gt', 0), ('most_waiting_bytes__gt', 0)), name='sender_may_wait'),
        ),
        migrations.AddConstraint(
            model_name='upload',
            constraint=models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('sender', 'key'), name='upload_key_once'),
        ),
        migrations.RunSQL(AFTER),
    ]
