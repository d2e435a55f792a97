import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
call khata.append_only('ledger_entry');
call khata.append_only('ledger_posting');
call khata.never_deleted('ledger_head');

-- The transaction that made an entry is the only one that may add postings to it. Nobody may write this column.
alter table ledger_entry add column tx xid8 not null default pg_current_xact_id();
revoke insert on ledger_entry from khata_run;
grant insert (id, kind, cause, business_date, reason, made_at) on ledger_entry to khata_run;

alter table ledger_balance set (fillfactor = 70);
revoke insert on ledger_balance from khata_run;

create function khata.check_postings() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare bad record;
begin
    select a.entry_id into bad
    from (select distinct entry_id from added) a
    left join ledger_entry e on e.id = a.entry_id and e.tx = pg_current_xact_id()
    where e.id is null limit 1;
    if found then
        raise exception using errcode = 'KH002',
            message = format('entry %s does not exist or is closed: nothing is added to it', bad.entry_id);
    end if;

    select a.entry_id, h.discom_id, sum(a.amount_paise) as amount, bool_or(h.per_subject <> (a.subject <> 0)) as astray
    into bad
    from added a left join ledger_head h on h.id = a.head_id
    group by a.entry_id, h.discom_id
    having sum(a.amount_paise) <> 0 or h.discom_id is null or bool_or(h.per_subject <> (a.subject <> 0)) limit 1;
    if found then
        raise exception using errcode = 'KH003',
            message = format('entry %s: the postings of company %s sum to %s paise, not 0, or a head has no subject where it must',
                             bad.entry_id, coalesce(bad.discom_id::text, 'unknown'), bad.amount);
    end if;

    insert into ledger_balance (subject, head_id, amount_paise)
    select subject, head_id, sum(amount_paise) from added where subject <> 0 group by subject, head_id order by 1, 2
    on conflict (subject, head_id) do update set amount_paise = ledger_balance.amount_paise + excluded.amount_paise;
    return null;
end $$;

create trigger balanced after insert on ledger_posting referencing new table as added
    for each statement execute function khata.check_postings();

create function khata.check_entry() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not exists (select from ledger_posting where entry_id = new.id) then
        raise exception using errcode = 'KH004', message = format('entry %s has no postings', new.id);
    end if;
    return null;
end $$;

create constraint trigger has_postings after insert on ledger_entry
    deferrable initially deferred for each row execute function khata.check_entry();

-- One entry with its postings, for whoever may not copy into these tables. From the web only on behalf of an office, and
-- only an entry that touches the books of that office's company: a consumer's session can never post.
create function khata.post(kind text, cause text, business_date date, reason text,
                           heads smallint[], subjects bigint[], amounts bigint[])
returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare made bigint;
begin
    perform khata.demand_office('posting');
    if khata.asked_by_web() and not exists (
        select from ledger_head h join discoms_office o on o.discom_id = h.discom_id
        where h.id = any(heads) and o.id = khata.scope('office_from')
    ) then
        raise exception using errcode = '42501', message = 'posting is for a company''s own books';
    end if;
    insert into ledger_entry (kind, cause, business_date, reason)
    values (post.kind, post.cause, post.business_date, post.reason) returning id into made;
    insert into ledger_posting (entry_id, head_id, subject, amount_paise)
    select made, * from unnest(heads, subjects, amounts);
    return made;
end $$;
revoke execute on function khata.post from public;
grant execute on function khata.post to khata_app, khata_run;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('discoms', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Entry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField()),
                ('cause', models.TextField(help_text='package:kind:id of what it came from')),
                ('business_date', models.DateField()),
                ('reason', models.TextField(blank=True, default='')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('kind', 'cause'), name='entry_caused_once')],
            },
        ),
        migrations.CreateModel(
            name='Head',
            fields=[
                ('id', models.SmallAutoField(primary_key=True, serialize=False)),
                ('code', models.TextField()),
                ('title_en', models.TextField()),
                ('title_hi', models.TextField()),
                ('per_subject', models.BooleanField(default=False)),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
            ],
        ),
        migrations.CreateModel(
            name='Balance',
            fields=[
                ('pk', models.CompositePrimaryKey('subject', 'head_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.BigIntegerField()),
                ('amount_paise', models.BigIntegerField()),
                ('head', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.head')),
            ],
        ),
        migrations.CreateModel(
            name='Posting',
            fields=[
                ('pk', models.CompositePrimaryKey('entry_id', 'head_id', 'subject', blank=True, editable=False, primary_key=True, serialize=False)),
                ('subject', models.BigIntegerField(default=0, help_text="a connection's id; 0 where the head has no subjects")),
                ('amount_paise', models.BigIntegerField()),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.entry')),
                ('head', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.head')),
            ],
        ),
        migrations.AddConstraint(
            model_name='head',
            constraint=models.UniqueConstraint(fields=('discom', 'code'), name='head_coded_once'),
        ),
        migrations.AddIndex(
            model_name='posting',
            index=models.Index(fields=['subject', 'entry'], name='posting_by_subject'),
        ),
        migrations.RunSQL(AFTER),
    ]
