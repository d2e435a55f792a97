import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

AFTER = """
call khata.append_only('consumers_mobilechange');
call khata.append_only('consumers_mobileword');
call khata.append_only('consumers_viewgrant');
call khata.append_only('consumers_viewended');
-- These two change in place, through the functions below alone.
call khata.fence('consumers_lastsignin');
call khata.fence('consumers_authenticator');
revoke all on consumers_lastsignin, consumers_authenticator from khata_app;
revoke insert on consumers_lastsignin, consumers_authenticator from khata_run;
grant update (mobile_key, ended_at) on consumers_authenticator to khata_run;

-- A change is seen by who has the old mobile, under whichever connection, and by the offices of its connection.
call khata.fence('consumers_mobilechange', $$
    mobile_was = (select p.mobile_key from consumers_consumer p
                  where p.id = (select nullif(current_setting('khata.consumer', true), '')::bigint))
    or exists (select from consumers_connection c where c.id = connection_id
               and c.division_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                                     and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
call khata.fence('consumers_mobileword', $$ exists (select from consumers_mobilechange m where m.id = change_id) $$);
-- Who may see a connection is its holder's business: neither whoever was let in nor an office sees the list.
call khata.fence('consumers_viewgrant', $$ exists (select from consumers_connection c where c.id = connection_id
    and c.consumer_id = (select nullif(current_setting('khata.consumer', true), '')::bigint)) $$);
call khata.fence('consumers_viewended', $$ exists (select from consumers_viewgrant g where g.id = grant_id) $$);

-- The mobile of whoever is signed in, or nothing. Not for the web: the functions below work with it.
create function khata.own_mobile() returns text language sql stable security definer set search_path = public, pg_temp as $$
    select nullif(p.mobile_key, '') from consumers_consumer p where p.id = khata.scope('consumer')
$$;
-- The mobile that a sign-in has proven, for a quarter of an hour.
create function khata.proven_mobile(sign_in uuid) returns text
language sql stable security definer set search_path = public, pg_temp as $$
    select s.mobile_key from consumers_signin s
    where s.id = sign_in and s.used and s.asked_at > now() - interval '15 minutes'
$$;

-- Views that stand: not taken back, of a live connection, and given under the mobile that its holder still has.
create function khata.standing_views() returns setof consumers_viewgrant language sql stable as $$
    select g.* from consumers_viewgrant g join consumers_connection c on c.id = g.connection_id and c.live
    join consumers_consumer p on p.id = c.consumer_id and p.mobile_key = g.given_by
    where not exists (select from consumers_viewended e where e.grant_id = g.id)
$$;

-- -- the second step of a sign-in: by the sign-in that has just been proven --------------------------------------------

-- When a mobile was last known to be its person's: at its last sign-in, else when it came on record, as one's own or, where
-- it is nobody's own, as that of whoever was let in. Of several the oldest: a newer one may be whoever has the number now.
create function khata.last_known(mobile text) returns timestamptz
language sql stable security definer set search_path = public, pg_temp as $$
    select coalesce(
        (select l.at from consumers_lastsignin l where l.mobile_key = last_known.mobile),
        (select min(p.mobile_at) from consumers_consumer p
         where p.mobile_key = last_known.mobile
           and exists (select from consumers_connection c where c.consumer_id = p.id and c.live)),
        (select min(g.given_at) from khata.standing_views() g where g.mobile_key = last_known.mobile))
$$;
create function khata.asked_further(sign_in uuid)
returns table (authenticator uuid, nonce text, last_step bigint, seen_at timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    select a.id, a.nonce, a.last_step, khata.last_known(p.mobile)
    from khata.proven_mobile(sign_in) p (mobile)
    left join consumers_authenticator a on a.mobile_key = p.mobile and a.ended_at is null
    where p.mobile is not null
$$;
-- What a sign-in opens once its code has fitted: the connections of its mobile, and below those that others let it see.
create function khata.connections_of_sign_in(sign_in uuid) returns table (connection bigint, consumer bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select o.connection, o.consumer from khata.connections_of_mobile(khata.proven_mobile(sign_in)) o
$$;
create function khata.note_signed_in(sign_in uuid, moment timestamptz) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into consumers_lastsignin (mobile_key, at)
    select p.mobile, least(moment, now()) from khata.proven_mobile(sign_in) p (mobile) where p.mobile is not null
    on conflict (mobile_key) do update set at = greatest(consumers_lastsignin.at, excluded.at)
$$;
-- Of each step one code is taken, and none of a step before it or far ahead. Only of the authenticator of whoever is signed
-- in, or of the sign-in that is being proven.
create function khata.use_step(authenticator uuid, step bigint, sign_in uuid) returns boolean
language sql security definer set search_path = public, pg_temp as $$
    with used as (update consumers_authenticator a set last_step = step
                  where a.id = authenticator and a.ended_at is null and a.last_step < step
                    and step <= extract(epoch from now()) / 30 + 2
                    and a.mobile_key in (khata.own_mobile(), khata.proven_mobile(sign_in)) returning 1)
    select exists (select from used)
$$;
create function khata.use_recovery(authenticator uuid, hash text, sign_in uuid) returns boolean
language sql security definer set search_path = public, pg_temp as $$
    with used as (update consumers_authenticator a set recovery = array_remove(a.recovery, hash)
                  where a.id = authenticator and a.ended_at is null and hash = any (a.recovery)
                    and a.mobile_key in (khata.own_mobile(), khata.proven_mobile(sign_in)) returning 1)
    select exists (select from used)
$$;

-- -- the authenticator of whoever is signed in -------------------------------------------------------------------------

create function khata.own_authenticator()
returns table (authenticator uuid, nonce text, last_step bigint, recovery_left int, made_at timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    select a.id, a.nonce, a.last_step, cardinality(a.recovery), a.made_at from consumers_authenticator a
    where a.mobile_key = khata.own_mobile() and a.ended_at is null
$$;
-- Whoever holds the mobile reads by SMS that its second code was switched on or off, and the audit trail has it.
create function khata.tell_of_authenticator(authenticator uuid, mobile text, switched text, actor text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into notices_message (subject, template, language, mobile, "values", cause)
    select c.id, 'authenticator-' || switched, p.language, p.mobile_key, array[right(c.account_number, 4)],
        'consumers:authenticator:' || tell_of_authenticator.authenticator
    from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
    where p.mobile_key = tell_of_authenticator.mobile and c.live order by c.id limit 1;
    insert into audit_record (actor, action, object, reason, details)
    values (tell_of_authenticator.actor, 'consumers.authenticator-' || switched,
        'consumers:authenticator:' || tell_of_authenticator.authenticator, '', '{}');
end $$;
create function khata.switch_on_authenticator(new_id uuid, new_nonce text, hashes text[], step bigint, word_hash text)
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into consumers_authenticator (id, mobile_key, nonce, recovery, last_step, off_hash)
    select new_id, khata.own_mobile(), new_nonce, hashes, step, word_hash where khata.own_mobile() is not null
    on conflict do nothing;
    if not found then
        return false;
    end if;
    perform khata.tell_of_authenticator(new_id, khata.own_mobile(), 'on', 'consumer');
    return true;
end $$;
-- By the word whose hash was stored when it was switched on: it takes the installation's key to say.
create function khata.switch_off_authenticator(word text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare ended uuid;
begin
    update consumers_authenticator a set ended_at = now()
    where a.mobile_key = khata.own_mobile() and a.ended_at is null
      and a.off_hash = encode(sha256(convert_to(word, 'UTF8')), 'hex') returning a.id into ended;
    if ended is null then
        return false;
    end if;
    perform khata.tell_of_authenticator(ended, khata.own_mobile(), 'off', 'consumer');
    return true;
end $$;

-- -- another mobile ----------------------------------------------------------------------------------------------------

-- A code for the mobile that is to be the new one. Unlike a code of sign-in it goes to a mobile that nobody has yet.
create function khata.note_new_mobile(uuid, text, text, smallint, timestamptz, silent boolean, of_connection bigint)
returns void language sql security definer set search_path = public, pg_temp as $$
    insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued, connection)
    select $1, $2, $3, $4, $5, case when $6 then 1000 else 0 end, false, $6, c.id
    from consumers_connection c where c.id = $7 and c.live and c.consumer_id = khata.scope('consumer')
$$;
-- A mobile that others' connections stand under and nobody signed in with for half a year may be somebody else's by now.
-- Were an own connection brought under it, its meter's number would answer the question asked at such a sign-in.
create function khata.refuse_silent(new_mobile text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    if khata.last_known(new_mobile) < now() - interval '180 days'
       and exists (select from consumers_consumer p join consumers_connection c on c.consumer_id = p.id and c.live
                   where p.mobile_key = new_mobile) then
        raise exception using errcode = 'KH027',
            message = 'other connections stand under the new mobile, and nobody signed in with it for 180 days';
    end if;
end $$;
-- The old mobile is told at once, in the same transaction. One change at a time waits.
create function khata.change_mobile(sign_in uuid) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare was text := khata.own_mobile(); new text; made bigint; whose record;
begin
    select s.mobile_key, s.connection into whose from consumers_signin s
    join consumers_connection c on c.id = s.connection and c.consumer_id = khata.scope('consumer') and c.live
    where s.id = sign_in and s.mobile_key = khata.proven_mobile(sign_in);
    new := whose.mobile_key;
    if new is null or was is null or new = was then
        return null;
    end if;
    perform khata.refuse_silent(new);
    perform pg_advisory_xact_lock(hashtextextended('consumers:mobile:' || was, 0));
    if exists (select from khata.open_changes() o where o.mobile_was = was) then
        return null;
    end if;
    insert into consumers_mobilechange (connection_id, mobile_was, mobile_new, holds_until, reason)
    values (whose.connection, was, new, now() + interval '24 hours', '') returning id into made;
    perform khata.tell_old_mobile(made);
    insert into audit_record (actor, action, object, reason, details)
    values ('consumer', 'consumers.ask-mobile', 'consumers:mobilechange:' || made, '', '{}');
    return made;
end $$;
create function khata.open_changes() returns setof consumers_mobilechange language sql stable as $$
    select m.* from consumers_mobilechange m where not exists (
        select from consumers_mobileword w where w.change_id = m.id and w.word <> 'agreed')
$$;
create function khata.tell_old_mobile(change bigint) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into notices_message (subject, template, language, mobile, "values", cause)
    select c.id, 'mobile-change', p.language, m.mobile_was, array[right(c.account_number, 4), right(m.mobile_new, 4)],
        'consumers:mobilechange:' || m.id
    from consumers_mobilechange m join consumers_connection c on c.id = m.connection_id
    join consumers_consumer p on p.id = c.consumer_id
    where m.id = change and m.mobile_was <> ''
$$;
create function khata.stop_mobile(change bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into consumers_mobileword (change_id, word)
    select m.id, 'stopped' from consumers_mobilechange m where m.id = change and m.mobile_was = khata.own_mobile()
    on conflict do nothing;
    if found then
        insert into audit_record (actor, action, object, reason, details)
        values ('consumer', 'consumers.stop-mobile', 'consumers:mobilechange:' || change, '', '{}');
    end if;
    return found;
end $$;
-- The same by the code from an SMS alone: an authenticator may be the thief's, and stopping harms nobody.
create function khata.change_waiting(sign_in uuid) returns text
language sql stable security definer set search_path = public, pg_temp as $$
    select right(o.mobile_new, 4) from khata.open_changes() o
    where o.mobile_was = khata.proven_mobile(sign_in) order by o.id desc limit 1
$$;
create function khata.stop_waiting(sign_in uuid) returns boolean
language sql security definer set search_path = public, pg_temp as $$
    with stopped as (
        insert into consumers_mobileword (change_id, word)
        select o.id, 'stopped' from khata.open_changes() o where o.mobile_was = khata.proven_mobile(sign_in)
        on conflict do nothing returning change_id),
    noted as (
        insert into audit_record (actor, action, object, reason, details)
        select 'consumer', 'consumers.stop-mobile', 'consumers:mobilechange:' || s.change_id, '', '{}' from stopped s)
    select exists (select from stopped)
$$;
-- Whether this person is an officer whose offices take in a division. Not for the web: the functions below ask it.
create function khata.officer_over(person bigint, division int) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
    select exists (
        select from (
            select distinct on (t.office_id) t.office_id, t.ended from discoms_post t
            where t.staff_id = person and t.role = 'officer'
              and t.from_date <= (now() at time zone 'Asia/Kolkata')::date
            order by t.office_id, t.from_date desc, t.revision desc) held
        join discoms_office o on o.id = held.office_id
        join discoms_staff s on s.id = person and s.active
        where not held.ended and division between o.id and o.last)
$$;
-- Whether the mobile of a connection has live connections at offices that the scope does not take in.
create function khata.mobile_goes_beyond(connection bigint) returns boolean
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
    perform khata.demand_office('asking where else a mobile is registered');
    return khata.asked_by_web() and exists (
        select from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
        join consumers_consumer q on q.mobile_key = p.mobile_key
        join consumers_connection o on o.consumer_id = q.id and o.live
        where c.id = mobile_goes_beyond.connection and p.mobile_key <> ''
          and c.division_id between khata.scope('office_from') and khata.scope('office_to')
          and o.division_id not between khata.scope('office_from') and khata.scope('office_to'));
end $$;
-- On paper at an office: one person proposes, another agrees. A run then does it. The same mobile again: its authenticator
-- was lost, and is switched off.
create function khata.propose_mobile(connection bigint, new_mobile text, why text, maker bigint) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare was text; of_division int; made bigint;
begin
    perform khata.demand_office('proposing a mobile');
    select p.mobile_key, c.division_id into was, of_division from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
    where c.id = propose_mobile.connection and c.live
      and (not khata.asked_by_web() or c.division_id between khata.scope('office_from') and khata.scope('office_to'));
    if was is null or not khata.officer_over(maker, of_division)
       or (was = new_mobile and khata.mobile_goes_beyond(propose_mobile.connection)) then
        return null;
    end if;
    if new_mobile <> was then
        perform khata.refuse_silent(new_mobile);
    end if;
    perform pg_advisory_xact_lock(hashtextextended('consumers:mobile-of:' || propose_mobile.connection, 0));
    if exists (select from khata.open_changes() o
               where o.connection_id = propose_mobile.connection and o.staff_id is not null) then
        return null;
    end if;
    insert into consumers_mobilechange (connection_id, mobile_was, mobile_new, staff_id, reason)
    values (propose_mobile.connection, was, new_mobile, maker, why) returning id into made;
    perform khata.tell_old_mobile(made);
    return made;
end $$;
create function khata.decide_mobile(change bigint, said text, checker bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare asked record;
begin
    perform khata.demand_office('deciding about a mobile');
    select m.*, c.division_id into asked from khata.open_changes() m join consumers_connection c on c.id = m.connection_id and c.live
    where m.id = decide_mobile.change and m.staff_id is not null
      and (not khata.asked_by_web() or c.division_id between khata.scope('office_from') and khata.scope('office_to'));
    if asked.id is null or said not in ('agreed', 'refused') or not khata.officer_over(checker, asked.division_id) then
        return false;
    end if;
    if said = 'agreed' and asked.staff_id = checker then
        raise exception using errcode = 'KH026',
            message = format('change %s is to be agreed to by a second person, not by the one who proposed it', asked.id);
    end if;
    if said = 'agreed' and (not khata.officer_over(asked.staff_id, asked.division_id)
       or (asked.mobile_was = asked.mobile_new and khata.mobile_goes_beyond(asked.connection_id))) then
        return false;
    end if;
    insert into consumers_mobileword (change_id, word, staff_id) values (asked.id, said, checker) on conflict do nothing;
    return found;
end $$;

-- -- a view of one connection ------------------------------------------------------------------------------------------

create function khata.views_of_mobile(proven text) returns table (view_id uuid, connection bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select g.id, g.connection_id from khata.standing_views() g
    where g.mobile_key = proven and proven <> '' order by g.given_at limit 50
$$;
create function khata.views_of_sign_in(sign_in uuid) returns table (view_id uuid, connection bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select o.view_id, o.connection from khata.views_of_mobile(khata.proven_mobile(sign_in)) o
$$;
-- By ids that only the sessions know which were let in. The name is masked here, the address by whoever shows it.
create function khata.views_shown(views uuid[])
returns table (view_id uuid, connection bigint, account_number text, name text, address text, discom_en text, discom_hi text)
language sql stable rows 5 security definer set search_path = public, pg_temp as $$
    select g.id, c.id, c.account_number, khata.masked(p.name), c.address, d.name_en, d.name_hi
    from khata.standing_views() g join consumers_connection c on c.id = g.connection_id
    join consumers_consumer p on p.id = c.consumer_id join discoms_discom d on d.id = c.discom_id
    where g.id = any (views) order by g.given_at
$$;
create function khata.give_view(new_id uuid, connection bigint, new_mobile text, called text) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare mine text := khata.own_mobile(); whose record;
begin
    select c.id, right(c.account_number, 4) as tail, p.language into whose
    from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
    where c.id = give_view.connection and c.live and c.consumer_id = khata.scope('consumer');
    if mine is null or whose.id is null then
        return 'nobody';
    end if;
    if new_mobile = mine then
        return 'own';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('consumers:views:' || whose.id, 0));
    if exists (select from khata.standing_views() g where g.connection_id = whose.id and g.mobile_key = new_mobile) then
        return 'given';
    end if;
    if (select count(*) from khata.standing_views() g where g.connection_id = whose.id) >= 5 then
        return 'many';
    end if;
    insert into consumers_viewgrant (id, connection_id, given_by, mobile_key, label)
    values (new_id, whose.id, mine, new_mobile, called);
    insert into notices_message (subject, template, language, mobile, "values", cause) values
        (whose.id, 'view-given', whose.language, mine, array[whose.tail, right(new_mobile, 4)], 'consumers:view:' || new_id),
        (whose.id, 'view-received', whose.language, new_mobile, array[whose.tail, right(mine, 4)], 'consumers:view:' || new_id);
    insert into audit_record (actor, action, object, reason, details)
    values ('consumer', 'consumers.give-view', 'consumers:connection:' || whose.id, '', '{}');
    return '';
end $$;
create function khata.end_view(view_id uuid) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into consumers_viewended (grant_id)
    select g.id from consumers_viewgrant g join consumers_connection c on c.id = g.connection_id
    where g.id = view_id and c.consumer_id = khata.scope('consumer')
    on conflict do nothing;
    return found;
end $$;

revoke execute on function khata.own_mobile, khata.proven_mobile, khata.open_changes, khata.tell_old_mobile,
    khata.standing_views, khata.officer_over, khata.refuse_silent, khata.last_known from public;
revoke execute on function khata.asked_further, khata.note_signed_in, khata.use_step, khata.use_recovery,
    khata.own_authenticator, khata.switch_on_authenticator, khata.switch_off_authenticator, khata.note_new_mobile,
    khata.change_mobile, khata.stop_mobile, khata.views_of_mobile, khata.connections_of_sign_in,
    khata.views_of_sign_in, khata.views_shown, khata.give_view, khata.end_view,
    khata.propose_mobile, khata.decide_mobile, khata.change_waiting, khata.stop_waiting, khata.mobile_goes_beyond,
    khata.tell_of_authenticator from public;
grant execute on function khata.asked_further, khata.note_signed_in, khata.use_step, khata.use_recovery,
    khata.own_authenticator, khata.switch_on_authenticator, khata.switch_off_authenticator, khata.note_new_mobile,
    khata.change_mobile, khata.stop_mobile, khata.connections_of_sign_in, khata.views_of_sign_in,
    khata.views_shown, khata.give_view, khata.end_view,
    khata.propose_mobile, khata.decide_mobile, khata.change_waiting, khata.stop_waiting, khata.mobile_goes_beyond
    to khata_app;
grant execute on function khata.views_of_mobile, khata.tell_of_authenticator to khata_run;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('consumers', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LastSignIn',
            fields=[
                ('mobile_key', models.TextField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ViewGrant',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('given_by', models.TextField(help_text="the holder's mobile key")),
                ('mobile_key', models.TextField(db_index=True)),
                ('label', models.TextField(help_text='how the holder calls that person')),
                ('given_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
            ],
        ),
        migrations.AddField(
            model_name='signin',
            name='connection',
            field=models.BigIntegerField(help_text='whose holder wants this mobile to be the new one', null=True),
        ),
        migrations.CreateModel(
            name='Authenticator',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('mobile_key', models.TextField()),
                ('nonce', models.TextField()),
                ('recovery', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_step', models.BigIntegerField(help_text='of the last code that was taken: none before it is good again')),
                ('ended_at', models.DateTimeField(null=True)),
                ('off_hash', models.TextField(db_default='', help_text='SHA-256 of the word that switches it off, made with the key')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('mobile_key',), name='authenticator_one_mobile')],
            },
        ),
        migrations.CreateModel(
            name='MobileChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mobile_was', models.TextField(db_index=True)),
                ('mobile_new', models.TextField()),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('holds_until', models.DateTimeField(help_text='null: it waits for a second person instead', null=True)),
                ('reason', models.TextField(blank=True, default='')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('staff', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='MobileWord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.TextField()),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('change', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.mobilechange')),
                ('staff', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ViewEnded',
            fields=[
                ('grant', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='consumers.viewgrant')),
                ('ended_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddConstraint(
            model_name='mobilechange',
            constraint=models.CheckConstraint(condition=models.Q(('mobile_new__regex', '^[6-9][0-9]{9}$')), name='mobile_change_to_a_mobile'),
        ),
        migrations.AddConstraint(
            model_name='mobilechange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('holds_until__isnull', False), ('staff', None)), models.Q(('holds_until', None), ('staff__isnull', False)), _connector='OR'), name='mobile_change_holds_or_has_staff'),
        ),
        migrations.AddConstraint(
            model_name='mobileword',
            constraint=models.CheckConstraint(condition=models.Q(('word__in', ['agreed', 'stopped', 'refused', 'done'])), name='mobile_word'),
        ),
        migrations.AddConstraint(
            model_name='mobileword',
            constraint=models.UniqueConstraint(fields=('change', 'word'), name='mobile_word_once'),
        ),
        migrations.AddConstraint(
            model_name='mobileword',
            constraint=models.UniqueConstraint(condition=models.Q(('word', 'agreed'), _negated=True), fields=('change',), name='mobile_change_ends_once'),
        ),
        migrations.AddConstraint(
            model_name='viewgrant',
            constraint=models.CheckConstraint(condition=models.Q(('mobile_key__regex', '^[6-9][0-9]{9}$')), name='view_grant_to_a_mobile'),
        ),
        migrations.RunSQL(AFTER),
    ]
