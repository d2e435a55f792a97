import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

AFTER = """
call khata.append_only('payments_receipt');
call khata.append_only('payments_suspensecleared');
call khata.append_only('payments_suspenseproposal');
call khata.append_only('payments_shift');
call khata.append_only('payments_shiftclosed');
call khata.append_only('payments_counterpolicy');
call khata.never_deleted('payments_counter');
call khata.refers('payments_receipt', 'connection_id', 'consumers_connection');
call khata.refers('payments_receipt', 'entry_id', 'ledger_entry');

-- Who sees a receipt: whoever sees the connection, also one that it was put on later, and the office that took the money.
-- The office is asked first: then most rows need no look at connections.
call khata.fence('payments_receipt', $$
    office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                  and (select nullif(current_setting('khata.office_to', true), '')::int)
    or exists (select from consumers_connection c where c.id = payments_receipt.connection_id)
    or payments_receipt.connection_id is null and exists (
        select from payments_suspensecleared s join consumers_connection c on c.id = s.connection_id
        where s.receipt_id = payments_receipt.id) $$);
call khata.fence('payments_suspensecleared', $$
    office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                  and (select nullif(current_setting('khata.office_to', true), '')::int)
    or exists (select from consumers_connection c where c.id = payments_suspensecleared.connection_id) $$);
-- Whom an office means to give money to is nobody's business but its own: a consumer never sees it.
call khata.fence('payments_suspenseproposal', $$ exists (
    select from payments_receipt r where r.id = receipt_id
      and r.office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                          and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
call khata.fence('payments_shift', $$
    counter_id in (select id from payments_counter
        where office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                            and (select nullif(current_setting('khata.office_to', true), '')::int)) $$);
call khata.fence('payments_shiftclosed', $$ shift_id in (select id from payments_shift) $$);

-- What the web writes of money: at counters of the offices on whose behalf it works, and nowhere else.
create policy opened on payments_shift for insert to khata_app with check (
    counter_id in (select id from payments_counter where active
        and office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                          and (select nullif(current_setting('khata.office_to', true), '')::int)));
create policy closed on payments_shiftclosed for insert to khata_app with check (
    shift_id in (select id from payments_shift));
create policy taken on payments_receipt for insert to khata_app with check (
    channel = 'counter' and shift_id in (select id from payments_shift)
    and office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                      and (select nullif(current_setting('khata.office_to', true), '')::int));
create policy cleared on payments_suspensecleared for insert to khata_app with check (
    office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                  and (select nullif(current_setting('khata.office_to', true), '')::int));
create policy proposed on payments_suspenseproposal for insert to khata_app with check (exists (
    select from payments_receipt r where r.id = receipt_id
      and r.office_id between (select nullif(current_setting('khata.office_from', true), '')::int)
                          and (select nullif(current_setting('khata.office_to', true), '')::int)));
grant insert on payments_shift, payments_shiftclosed, payments_receipt, payments_suspensecleared, payments_suspenseproposal
    to khata_app;
grant usage on sequence payments_receipt_id_seq, payments_suspenseproposal_id_seq to khata_app;

-- One at a time at a counter, and for a person, until the transaction ends.
create function khata.hold(what text, id bigint) returns void language sql as $$
    select pg_advisory_xact_lock(hashtextextended('payments.' || what, id))
$$;

-- All that is asked before money is taken, in one call: the desk of a shift with its counter held, the newest serial there,
-- the receipt of this reference if there is one, the limit of the day, and an id. With the caller's own powers.
create function khata.desk(shift bigint, reference text, today date)
returns table (counter bigint, counter_code text, office int, company text, staff bigint, business_date date,
               opened_at timestamptz, opening_paise bigint, closed boolean, last_serial int, known bigint, most_paise bigint,
               next_receipt bigint)
language plpgsql as $$
#variable_conflict use_column
declare held bigint;
begin
    select s.counter_id into held from payments_shift s where s.id = desk.shift;
    perform khata.hold('counter', held);
    -- First the lock, then the look: this statement sees what was committed while the one above waited.
    return query
        select c.id, c.code, c.office_id, d.code, s.staff_id, s.business_date, s.opened_at, s.opening_paise,
            exists (select from payments_shiftclosed x where x.shift_id = s.id),
            coalesce((select r.serial from payments_receipt r where r.counter_id = c.id order by r.serial desc limit 1), 0),
            (select r.id from payments_receipt r where r.channel = 'counter' and r.reference = desk.reference),
            (select p.most_paise from payments_counterpolicy p where p.discom_id = d.id and p.from_date <= today
             order by p.from_date desc limit 1),
            case when desk.reference <> '' then nextval('payments_receipt_id_seq') end
        from payments_shift s join payments_counter c on c.id = s.counter_id
        join discoms_office o on o.id = c.office_id join discoms_discom d on d.id = o.discom_id
        where s.id = desk.shift;
end $$;

grant execute on function khata.hold, khata.desk to khata_app, khata_run;

create function khata.check_shift() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform khata.hold('staff', new.staff_id);
    perform khata.hold('counter', new.counter_id);
    if exists (select from payments_shift s where s.id <> new.id and (s.staff_id = new.staff_id or s.counter_id = new.counter_id)
               and not exists (select from payments_shiftclosed x where x.shift_id = s.id)) then
        raise exception using errcode = 'KH006', message = format('counter %s or its person has an open shift', new.counter_id);
    end if;
    return null;
end $$;
create trigger one_open after insert on payments_shift for each row execute function khata.check_shift();

create function khata.check_shift_closed() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare held payments_shift; booked bigint;
begin
    select * into held from payments_shift where id = new.shift_id;
    perform khata.hold('counter', held.counter_id);
    select held.opening_paise + coalesce(sum(amount_paise), 0) into booked from payments_receipt where shift_id = new.shift_id;
    if new.booked_paise <> booked then
        raise exception using errcode = 'KH007',
            message = format('shift %s has %s paise booked, not %s', new.shift_id, booked, new.booked_paise);
    end if;
    if new.staff_id <> held.staff_id and new.reason = '' then
        raise exception using errcode = 'KH007', message = format('shift %s is closed by another person without a reason', new.shift_id);
    end if;
    return null;
end $$;
create trigger adds_up after insert on payments_shiftclosed for each row execute function khata.check_shift_closed();

-- A counter's serials have no gap, its receipts are of an open shift, and no receipt is dated by hand.
create function khata.check_counter_receipt() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare held record; newest int;
begin
    perform khata.hold('counter', new.counter_id);
    select s.counter_id, s.business_date, s.opened_at, c.office_id,
           exists (select from payments_shiftclosed x where x.shift_id = s.id) as closed
    into held from payments_shift s join payments_counter c on c.id = s.counter_id where s.id = new.shift_id;
    if (new.counter_id, new.office_id, new.received_on) is distinct from (held.counter_id, held.office_id, held.business_date)
       or held.closed or new.received_at < held.opened_at then
        raise exception using errcode = 'KH008',
            message = format('receipt %s does not fit its shift, or the shift is closed', new.id);
    end if;
    if not exists (select from ledger_entry e join ledger_posting p on p.entry_id = e.id join ledger_head h on h.id = p.head_id
                   where e.id = new.entry_id and e.kind = 'receipt' and e.cause = 'payments:receipt:' || new.id
                     and p.subject = coalesce(new.connection_id, 0) and p.amount_paise = -new.amount_paise
                     and h.code = case when new.connection_id is null then 'suspense' else 'consumers' end) then
        raise exception using errcode = 'KH008', message = format('receipt %s has no posting of its own', new.id);
    end if;
    select serial into newest from payments_receipt where counter_id = new.counter_id and id <> new.id order by serial desc limit 1;
    if new.serial <> coalesce(newest, 0) + 1 then
        raise exception using errcode = 'KH008',
            message = format('receipt %s has the serial %s after %s: a counter leaves none out', new.id, new.serial, newest);
    end if;
    return null;
end $$;
create trigger fits_shift after insert on payments_receipt for each row when (new.counter_id is not null)
    execute function khata.check_counter_receipt();

-- What is proposed is of held money, and not by the person who took it.
create function khata.check_proposed() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare held record;
begin
    perform khata.hold('suspense', new.receipt_id);
    select r.connection_id, s.staff_id, exists (
        select from payments_suspensecleared c where c.receipt_id = r.id) as cleared into held
    from payments_receipt r left join payments_shift s on s.id = r.shift_id where r.id = new.receipt_id;
    if held.connection_id is not null or held.cleared then
        raise exception using errcode = 'KH010', message = format('receipt %s is not in suspense', new.receipt_id);
    end if;
    if new.staff_id = held.staff_id then
        raise exception using errcode = 'KH010',
            message = format('receipt %s: whoever took the money does not put it on an account', new.receipt_id);
    end if;
    return null;
end $$;
create trigger fits_receipt after insert on payments_suspenseproposal for each row execute function khata.check_proposed();

-- Held money is put on an account once, whole, and by somebody else than the person who took it. Where its own number
-- does not lead to the connection, another person has proposed the same.
create function khata.check_cleared() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare held record;
begin
    perform khata.hold('suspense', new.receipt_id);
    select r.connection_id, r.office_id, r.amount_paise, r.matched, s.staff_id into held
    from payments_receipt r left join payments_shift s on s.id = r.shift_id where r.id = new.receipt_id;
    if held.connection_id is not null or new.office_id <> held.office_id then
        raise exception using errcode = 'KH010', message = format('receipt %s is not in suspense at this office', new.receipt_id);
    end if;
    if new.staff_id = held.staff_id then
        raise exception using errcode = 'KH010',
            message = format('receipt %s: whoever took the money does not put it on an account', new.receipt_id);
    end if;
    if not exists (select from consumers_connection c where c.id = new.connection_id and c.account_number = held.matched)
       and not exists (select from consumers_oldnumber o where o.connection_id = new.connection_id and o.number = held.matched)
       and not exists (select from payments_suspenseproposal p where p.receipt_id = new.receipt_id
                       and p.connection_id = new.connection_id and p.staff_id <> new.staff_id) then
        raise exception using errcode = 'KH010',
            message = format('receipt %s: its number does not lead there, and no second person has said so', new.receipt_id);
    end if;
    if (select count(*) from ledger_entry e join ledger_posting p on p.entry_id = e.id join ledger_head h on h.id = p.head_id
        where e.id = new.entry_id and e.kind = 'suspense-cleared' and e.cause = 'payments:receipt:' || new.receipt_id
          and ((h.code, p.amount_paise) = ('suspense', held.amount_paise)
               or (h.code, p.subject, p.amount_paise) = ('consumers', new.connection_id, -held.amount_paise))) <> 2 then
        raise exception using errcode = 'KH010', message = format('receipt %s has no posting of its clearing', new.receipt_id);
    end if;
    return null;
end $$;
create trigger fits_receipt after insert on payments_suspensecleared for each row execute function khata.check_cleared();

-- For whoever holds a receipt in hand, without a scope; the short code on it was proven before this is asked.
create function khata.receipt_check(counter text, serial int) returns table (received_on date, amount_paise bigint)
language sql stable security definer set search_path = public, pg_temp as $$
    select r.received_on, r.amount_paise from payments_receipt r join payments_counter c on c.id = r.counter_id
    where c.code = receipt_check.counter and r.serial = receipt_check.serial
$$;
revoke execute on function khata.receipt_check from public;
grant execute on function khata.receipt_check to khata_app, khata_run;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('consumers', '0001_initial'),
        ('discoms', '0001_initial'),
        ('ledger', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Counter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.TextField(unique=True)),
                ('name_hi', models.TextField()),
                ('name_en', models.TextField()),
                ('active', models.BooleanField(default=True)),
                ('office', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Z][A-Z0-9]{1,3}$')), name='counter_code')],
            },
        ),
        migrations.CreateModel(
            name='CounterPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_date', models.DateField()),
                ('most_paise', models.BigIntegerField(help_text='the most cash for one connection on one day')),
                ('source', models.TextField(help_text='the law or order that says so')),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('discom', 'from_date'), name='counter_policy_dated_once'), models.CheckConstraint(condition=models.Q(('most_paise__gt', 0)), name='counter_policy_above_0')],
            },
        ),
        migrations.CreateModel(
            name='Shift',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('business_date', models.DateField()),
                ('opened_at', models.DateTimeField()),
                ('opening_paise', models.BigIntegerField(help_text='cash in the drawer before the first receipt')),
                ('counter', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='payments.counter')),
                ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('opening_paise__gte', 0)), name='shift_opening_from_0')],
            },
        ),
        migrations.CreateModel(
            name='ShiftClosed',
            fields=[
                ('shift', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='payments.shift')),
                ('closed_at', models.DateTimeField()),
                ('declared_paise', models.BigIntegerField()),
                ('booked_paise', models.BigIntegerField()),
                ('reason', models.TextField(blank=True, default='', help_text='why the two differ, or why another person closes')),
                ('staff', models.ForeignKey(help_text='who counted', on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('declared_paise__gte', 0)), name='shift_declared_from_0'), models.CheckConstraint(condition=models.Q(('declared_paise', models.F('booked_paise')), models.Q(('reason', ''), _negated=True), _connector='OR'), name='shift_difference_has_a_reason')],
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('held_for', models.TextField(blank=True, db_default='', default='', help_text='why it was taken into suspense; else empty')),
                ('channel', models.TextField(help_text='counter')),
                ('reference', models.TextField(help_text="the channel's own reference: the same one twice is one payment")),
                ('typed', models.TextField(help_text='the identifier as it was typed')),
                ('matched', models.TextField(help_text='the account number or old number that it matched; of an unknown one empty')),
                ('amount_paise', models.BigIntegerField()),
                ('received_on', models.DateField()),
                ('serial', models.IntegerField(help_text='from 1, without a gap at its counter', null=True)),
                ('received_at', models.DateTimeField(null=True)),
                ('balance_after_paise', models.BigIntegerField(help_text='what the connection owed after it, as printed', null=True)),
                ('connection', models.ForeignKey(db_constraint=False, help_text='none while it is held in suspense', null=True, on_delete=django.db.models.deletion.DO_NOTHING, to='consumers.connection')),
                ('counter', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='payments.counter')),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.entry')),
                ('office', models.ForeignKey(db_index=False, help_text='where it was collected', on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
                ('shift', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='payments.shift')),
            ],
        ),
        migrations.CreateModel(
            name='SuspenseCleared',
            fields=[
                ('receipt', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='payments.receipt')),
                ('reason', models.TextField()),
                ('cleared_at', models.DateTimeField()),
                ('cleared_on', models.DateField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('entry', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='ledger.entry')),
                ('office', models.ForeignKey(db_index=False, help_text="the receipt's, for whoever sees it", on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
                ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='SuspenseProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('made_at', models.DateTimeField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='consumers.connection')),
                ('receipt', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='payments.receipt')),
                ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('receipt', 'connection', 'staff'), name='proposal_once_a_person'), models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='proposed_with_a_reason')],
            },
        ),
        migrations.AddIndex(
            model_name='receipt',
            index=models.Index(fields=['office', 'received_on'], name='receipt_of_day'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.UniqueConstraint(fields=('channel', 'reference'), name='receipt_once'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.UniqueConstraint(fields=('counter', 'serial'), name='receipt_serial_once'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.CheckConstraint(condition=models.Q(('amount_paise__gt', 0)), name='receipt_above_0'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('counter__isnull', True), ('serial__isnull', True), ('shift__isnull', True)), models.Q(('counter__isnull', False), ('received_at__isnull', False), ('serial__isnull', False), ('shift__isnull', False)), _connector='OR'), name='receipt_of_a_counter_whole'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('connection__isnull', False), ('held_for', '')), models.Q(('connection__isnull', True), ('held_for__in', ('old-number-ended', 'unknown-number', 'several-companies', 'not-here-any-more'))), _connector='OR'), name='receipt_held_for_a_reason'),
        ),
        migrations.AddConstraint(
            model_name='receipt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('balance_after_paise__isnull', False), ('connection__isnull', False), ('counter__isnull', False)), models.Q(('balance_after_paise__isnull', True), models.Q(('counter__isnull', True), ('connection__isnull', True), _connector='OR')), _connector='OR'), name='receipt_balance_at_a_counter'),
        ),
        migrations.AddConstraint(
            model_name='suspensecleared',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='cleared_with_a_reason'),
        ),
        migrations.RunSQL(AFTER),
    ]
