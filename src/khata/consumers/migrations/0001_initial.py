import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
call khata.append_only('consumers_issuednumber');
call khata.append_only('consumers_numberwindow');
call khata.append_only('consumers_oldnumber');
call khata.append_only('consumers_terms');
call khata.never_deleted('consumers_consumer');
call khata.never_deleted('consumers_connection');
-- A corrected hand-over puts these right; a roll-back only takes a connection out of sight.
grant update (name, name_key, mobile, mobile_key, language) on consumers_consumer to khata_run;
grant update (division_id, address, connected_on, wave, live) on consumers_connection to khata_run;

-- Whoever changes a mobile, and however: it is on record from that moment.
create function khata.date_mobile() returns trigger language plpgsql as $$
begin
    new.mobile_at := now();
    return new;
end $$;
create trigger date_mobile before update of mobile_key on consumers_consumer
    for each row when (old.mobile_key is distinct from new.mobile_key) execute function khata.date_mobile();

-- Old numbers have six to eight digits, so none is an account number; and no account number is drawn or brought along
-- twice, by whatever company. Who asks for one that is taken learns so from the insert.
call khata.refers('consumers_connection', 'account_number', 'consumers_issuednumber', 'number');
-- A wave brings a whole company at once: each statement is checked, not each row.
call khata.refers('consumers_connection', 'consumer_id', 'consumers_consumer');
call khata.refers('consumers_connection', 'discom_id', 'discoms_discom');
call khata.refers('consumers_connection', 'division_id', 'discoms_office');
call khata.refers('consumers_oldnumber', 'connection_id', 'consumers_connection');
call khata.refers('consumers_oldnumber', 'discom_id', 'discoms_discom');
call khata.refers('consumers_terms', 'connection_id', 'consumers_connection');
call khata.fence('consumers_issuednumber');

-- Until when the old numbers of a wave are honoured; null: not (any more). What a company publishes, so no fence.
create function khata.window_of(discom smallint, wave text) returns date language sql stable as $$
    select w.last_day from consumers_numberwindow w where w.discom_id = $1 and w.wave = $2 order by w.id desc limit 1
$$;
grant execute on function khata.window_of to khata_app, khata_run;

-- Who sees a connection: its consumer, the offices at or above its division, and whoever its holder lets see this one
-- (khata.connection, set without a consumer); nobody one that was rolled back.
-- Each setting in a sub-select, so that it is read once and an index is used; no scope, no rows.
call khata.fence('consumers_connection', $$
    live and (consumer_id = (select nullif(current_setting('khata.consumer', true), '')::bigint)
    or id = (select nullif(current_setting('khata.connection', true), '')::bigint)
    or division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                       and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
-- Who was let in sees the connection, not the person: no mobile, no name but the masked one of a function.
call khata.fence('consumers_consumer', $$ (select nullif(current_setting('khata.connection', true), '')) is null and exists (
    select from consumers_connection c where c.consumer_id = consumers_consumer.id) $$);
call khata.fence('consumers_oldnumber', $$ exists (select from consumers_connection c where c.id = connection_id) $$);
call khata.fence('consumers_terms', $$ exists (select from consumers_connection c where c.id = connection_id) $$);

-- Row by row by its key, never a list of all that a company's counter may see. Lower rooms know no connection; what they hold about one is fenced here, where connections are known.
call khata.fence('ledger_posting', $$ exists (select from consumers_connection c where c.id = subject) $$);
call khata.fence('ledger_balance', $$ exists (select from consumers_connection c where c.id = subject) $$);
call khata.fence('ledger_entry', $$ exists (select from ledger_posting p where p.entry_id = ledger_entry.id) $$);
-- Messages are whose connection they are about, and whose mobile they went to; whoever was let in sees none of the holder's.
call khata.fence('notices_message', $$ (select nullif(current_setting('khata.connection', true), '')) is null and (
    mobile = (select p.mobile_key from consumers_consumer p where p.mobile_key <> ''
              and p.id = (select nullif(current_setting('khata.consumer', true), '')::bigint))
    or exists (select from consumers_connection c where c.id = subject)) $$);
call khata.refers('notices_message', 'subject', 'consumers_connection');

-- Requests for codes change in place and are thrown away. The web writes the same row for a mobile of ours and of nobody's,
-- and cannot ask which it is; a worker tells them apart. It reads none of them but by an id that only one session knows, and
-- each look counts as a try. What is silent is sent to nobody, so no code opens it. That a code has fitted is shown by
-- a proof which takes the installation's key to make, and which the worker writes when it sends the code: the database has
-- no key to check a code with, and does not believe whoever only says so.
call khata.fence('consumers_signin');
revoke all on consumers_signin from khata_app;
grant update (queued, proof), delete on consumers_signin to khata_run;
create function khata.note_sign_in(uuid, text, text, smallint, timestamptz, silent boolean) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued)
    values ($1, $2, $3, $4, $5, case when $6 then 1000 else 0 end, false, $6)
$$;
create function khata.try_sign_in(uuid)
returns table (mobile_key text, nonce text, digits smallint, asked_at timestamptz, tries_before smallint, used boolean)
language sql security definer set search_path = public, pg_temp as $$
    update consumers_signin s set tries = least(s.tries + 1, 2000) where s.id = $1
    returning s.mobile_key, s.nonce, s.digits, s.asked_at, (s.tries - 1)::smallint, s.used
$$;
create function khata.use_sign_in(uuid, text) returns boolean
language sql security definer set search_path = public, pg_temp as $$
    with used as (update consumers_signin s set used = true
                  where s.id = $1 and not s.used and s.proof = $2 and s.proof <> '' returning 1)
    select exists (select from used)
$$;
revoke execute on function khata.note_sign_in, khata.try_sign_in, khata.use_sign_in from public;
grant execute on function khata.note_sign_in, khata.try_sign_in, khata.use_sign_in to khata_app;

-- Requests for a new number are alike: the web writes whatever was typed, reads none of it and looks nothing up. A worker does.
call khata.fence('consumers_numberasked');
revoke all on consumers_numberasked from khata_app;
grant update (queued, connection), delete on consumers_numberasked to khata_run;
create function khata.note_number_asked(text, timestamptz) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into consumers_numberasked (typed, asked_at, queued) values (left($1, 40), $2, false)
$$;
revoke execute on function khata.note_number_asked from public;
grant execute on function khata.note_number_asked to khata_app;

-- Whose connections a mobile opens. Not for the web, which names the sign-in that has proven the mobile instead.
create function khata.connections_of_mobile(proven text) returns table (connection bigint, consumer bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select c.id, p.id from consumers_consumer p join consumers_connection c on c.consumer_id = p.id
    where p.mobile_key = proven and proven <> '' and c.live order by c.id limit 200
$$;
-- The other connections under the mobile of whoever is signed in. It takes no argument, so it can be asked of nobody else.
create function khata.connections_beside()
returns table (id bigint, account_number text, name text, address text, discom_en text, discom_hi text)
language sql stable security definer set search_path = public, pg_temp as $$
    select c.id, c.account_number, p.name, c.address, d.name_en, d.name_hi
    from consumers_consumer me
    join consumers_consumer p on p.mobile_key = me.mobile_key and me.mobile_key <> ''
    join consumers_connection c on c.consumer_id = p.id join discoms_discom d on d.id = c.discom_id
    where me.id = (select nullif(current_setting('khata.consumer', true), '')::bigint) and c.live
    order by c.id limit 200
$$;
revoke execute on function khata.connections_beside() from public;
grant execute on function khata.connections_beside() to khata_app;
revoke execute on function khata.connections_of_mobile(text) from public;
grant execute on function khata.connections_of_mobile(text) to khata_run;

-- What a counter needs beyond the fence: whoever has a number in hand may pay it at any company's counter. For a person at
-- an office only. Account numbers have ten digits and old ones fewer, so one list of numbers serves both. An old number
-- finds its connection for ever, and says whether it is still honoured.
create function khata.connections_by_number(numbers text[], today date)
returns table (connection bigint, account_number text, discom text, old_number text, last_day date, honoured boolean,
               division int)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    perform khata.demand_office('looking up a number');
    return query
        select c.id, c.account_number, d.code, f.number, w.last_day,
            f.number is null or coalesce(w.last_day >= today, false), c.division_id
        from (select o.connection_id as id, o.number from consumers_oldnumber o where o.number = any(numbers)
              union all
              select a.id, null from consumers_connection a where a.account_number = any(numbers)) f
        join consumers_connection c on c.id = f.id and c.live
        join discoms_discom d on d.id = c.discom_id
        left join lateral (select khata.window_of(c.discom_id, c.wave) as last_day where f.number is not null) w on true;
end $$;

-- Whether a connection is live, and stays so until the end of the caller's transaction: a roll-back waits for the payments
-- under way, and a payment for the roll-back.
create function khata.hold_connection(connection bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare found boolean;
begin
    perform khata.demand_office('holding a connection');
    select c.live into found from consumers_connection c where c.id = hold_connection.connection for share;
    return coalesce(found, false);
end $$;

-- What live connections owe: the sum over the heads of ledger.rules.OWED. A consumer is told of own ones, whoever was let
-- in of that one, a person at an office of all: anybody may be paid for there.
create function khata.owed(connections bigint[]) returns table (connection bigint, paise bigint)
language plpgsql stable rows 5 security definer set search_path = public, pg_temp as $$
begin
    if khata.scope('consumer') is null and khata.scope('connection') is null then
        perform khata.demand_office('asking what is owed');
    end if;
    return query
        select c.id, coalesce((select sum(b.amount_paise) from ledger_balance b join ledger_head h on h.id = b.head_id
                               where b.subject = c.id and h.code in ('consumers', 'lpsc', 'prepaid')), 0)::bigint
        from consumers_connection c
        where c.id = any(connections) and c.live
          and (not khata.asked_by_web() or khata.scope('office_from') is not null
               or c.consumer_id = khata.scope('consumer') or c.id = khata.scope('connection'));
end $$;

-- A name as a counter may show it: of each word the first letter with its vowel signs, without the half letter that a virama
-- would leave (display.bill_text.masked_name says the same).
create function khata.masked(name text) returns text language sql immutable as $$
    select coalesce(string_agg(
        substring(word from '^.[\\u0900-\\u0903\\u093a-\\u093c\\u093e-\\u094c\\u094e\\u094f\\u0951-\\u0957\\u0962\\u0963]*')
        || '***', ' ' order by place), '')
    from regexp_split_to_table(btrim(name, E' \\t\\n'), '\\s+') with ordinality t(word, place) where word <> ''
$$;

-- Whom a payment is for.
create function khata.payers(connections bigint[], today date)
returns table (connection bigint, account_number text, discom text, discom_en text, discom_hi text, division_en text,
               division_hi text, name text, address text, category text, closed boolean, old_number text, last_day date,
               paise bigint, own boolean)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select c.id, c.account_number, d.code, d.name_en, d.name_hi, v.name_en, v.name_hi, khata.masked(p.name), c.address,
            coalesce(t.category, ''), coalesce(t.ended, false), o.number, o.last_day, w.paise,
            coalesce(c.consumer_id = khata.scope('consumer'), false) or coalesce(c.discom_id = (
                select discom_id from discoms_office where id = khata.scope('office_from')), false)
        from khata.owed(connections) w
        join consumers_connection c on c.id = w.connection
        join consumers_consumer p on p.id = c.consumer_id
        join discoms_discom d on d.id = c.discom_id
        join discoms_office v on v.id = c.division_id
        left join lateral (select category, ended from consumers_terms where connection_id = c.id and from_date <= today
                           order by from_date desc, revision desc limit 1) t on true
        left join lateral (
            select n.number, g.last_day from consumers_oldnumber n, khata.window_of(c.discom_id, c.wave) g (last_day)
            where n.connection_id = c.id and g.last_day >= today order by n.id limit 1) o on true;
end $$;

-- A message to a connection's mobile; null if there is none. The web may send on behalf of an office, to whomever was paid
-- for there, or of a consumer, to nobody else.
create function khata.notify(connection bigint, template text, "values" text[], cause text) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare made bigint;
begin
    if khata.scope('consumer') is null then
        perform khata.demand_office('sending a message');
    end if;
    if khata.asked_by_web() and notify.template <> 'payment-taken' then
        raise exception using errcode = '42501', message = 'the web sends no other message than that of a payment';
    end if;
    insert into notices_message (subject, template, language, mobile, "values", cause)
    select c.id, notify.template, p.language, p.mobile_key, notify."values", notify.cause
    from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
    where c.id = notify.connection and c.live and p.mobile_key <> ''
      and (not khata.asked_by_web() or khata.scope('office_from') is not null or p.id = khata.scope('consumer'))
    returning id into made;
    return made;
end $$;

grant execute on function khata.masked to khata_app, khata_run;
revoke execute on function khata.connections_by_number, khata.hold_connection, khata.owed, khata.payers, khata.notify from public;
grant execute on function khata.connections_by_number, khata.hold_connection, khata.owed, khata.payers, khata.notify
    to khata_app, khata_run;
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
                ('mobile_key', models.TextField(blank=True, default='', help_text='ten digits, or empty')),
                ('language', models.TextField(default='hi')),
                ('mobile_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='when this mobile came on record here')),
            ],
            options={
                'indexes': [models.Index(fields=['name_key'], name='consumer_by_name'), models.Index(fields=['mobile_key'], name='consumer_by_mobile')],
                'constraints': [models.CheckConstraint(condition=models.Q(('mobile_key__regex', '^([6-9][0-9]{9})?$')), name='consumer_mobile_key'), models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='consumer_language')],
            },
        ),
        migrations.CreateModel(
            name='IssuedNumber',
            fields=[
                ('pk', models.CompositePrimaryKey('discom_id', 'account', blank=True, editable=False, primary_key=True, serialize=False)),
                ('account', models.TextField()),
                ('number', models.TextField()),
                ('issued_at', models.DateTimeField()),
                ('discom', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('number__regex', '^[0-9]{10}$')), name='issued_number_ten_digits'), models.UniqueConstraint(fields=('number',), name='issued_number_once')],
            },
        ),
        migrations.CreateModel(
            name='NumberWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wave', models.TextField(blank=True)),
                ('last_day', models.DateField(null=True)),
                ('source', models.TextField(help_text='the order that says so')),
                ('known_at', models.DateTimeField()),
                ('discom', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
            options={
                'indexes': [models.Index(fields=['discom', 'wave', '-id'], name='newest_window_of_a_wave')],
                'constraints': [models.CheckConstraint(condition=models.Q(('source', ''), _negated=True), name='number_window_has_a_source')],
            },
        ),
        migrations.CreateModel(
            name='NumberAsked',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('typed', models.TextField()),
                ('asked_at', models.DateTimeField()),
                ('queued', models.BooleanField(default=False)),
                ('connection', models.BigIntegerField(help_text='who was written to', null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('queued', False)), fields=['asked_at'], name='number_asked_to_queue'), models.Index(condition=models.Q(('connection__isnull', False)), fields=['connection'], name='number_told_to')],
            },
        ),
        migrations.CreateModel(
            name='Connection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_number', models.TextField()),
                ('address', models.TextField(blank=True, default='')),
                ('connected_on', models.DateField()),
                ('wave', models.TextField(blank=True, default='', help_text='the migration wave that brought it in; empty if new')),
                ('live', models.BooleanField(default=True)),
                ('discom', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
                ('division', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
                ('consumer', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.consumer')),
            ],
        ),
        migrations.CreateModel(
            name='OldNumber',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.TextField()),
                ('connection', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('discom', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
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
                ('connection', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
            ],
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('account_number__regex', '^[0-9]{10}$')), name='account_number_ten_digits'),
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.UniqueConstraint(fields=('account_number',), name='account_number_once'),
        ),
        migrations.AddConstraint(
            model_name='oldnumber',
            constraint=models.UniqueConstraint(fields=('number', 'discom'), name='old_number_once_a_company'),
        ),
        migrations.AddConstraint(
            model_name='oldnumber',
            constraint=models.CheckConstraint(condition=models.Q(('number__regex', '^[0-9]{6,8}$')), name='old_number_six_to_eight_digits'),
        ),
        migrations.CreateModel(
            name='SignIn',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('mobile_key', models.TextField()),
                ('nonce', models.TextField()),
                ('digits', models.SmallIntegerField()),
                ('asked_at', models.DateTimeField()),
                ('tries', models.SmallIntegerField(default=0)),
                ('used', models.BooleanField(default=False)),
                ('queued', models.BooleanField(default=False)),
                ('proof', models.TextField(db_default='', help_text='what shows the database that its code has fitted; empty until a worker has sent the code')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('queued', False)), fields=['asked_at'], name='sign_in_to_queue')],
            },
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
