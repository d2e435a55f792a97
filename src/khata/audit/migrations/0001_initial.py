import django.db.models.functions.datetime
from django.db import migrations, models

BEFORE = """
create schema khata;
grant usage on schema khata to khata_app, khata_run;
-- A function is for whom it is granted to. One of a trigger is for nobody: hung on a table of somebody's own it would work
-- there with the owner's powers.
alter default privileges revoke execute on functions from public;

-- What is issued, posted or accepted is never changed, by nobody: the trigger stops the owner too.
create function khata.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception using errcode = 'KH001',
        message = format('%s on %s is refused: what is issued, posted or accepted is never changed', tg_op, tg_table_name),
        hint = 'Add a record that corrects it.';
end $$;

create procedure khata.append_only(target regclass) language plpgsql as $$
begin
    execute format('create trigger append_only before update or delete or truncate on %s
                    for each statement execute function khata.refuse_change()', target);
end $$;

create procedure khata.never_deleted(target regclass) language plpgsql as $$
begin
    execute format('create trigger never_deleted before delete or truncate on %s
                    for each statement execute function khata.refuse_change()', target);
end $$;

-- A foreign key checks row by row (8 microseconds each); this checks a whole statement by one join. It is enough,
-- because the rows referred to are never deleted.
-- A statement brings some thousand rows: it looks each up by its key, and never reads the whole target.
create function khata.check_reference() returns trigger language plpgsql security definer
set search_path = public, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
declare missing text;
begin
    execute format('select n.v::text from (select distinct %1$I as v from added where %1$I is not null) n
                    left join %2$s t on t.%3$I = n.v where t.%3$I is null limit 1',
                   tg_argv[0], tg_argv[1]::regclass, tg_argv[2]) into missing;
    if missing is not null then
        raise exception using errcode = 'KH005',
            message = format('%s of %s names %s, which is not in %s', tg_argv[0], tg_table_name, missing, tg_argv[1]);
    end if;
    return null;
end $$;

create procedure khata.refers(source regclass, source_column text, target regclass, target_column text default 'id')
language plpgsql as $$
begin
    execute format('create trigger %I after insert on %s referencing new table as added
                    for each statement execute function khata.check_reference(%L, %L, %L)',
                   'refers_' || source_column, source, source_column, target::text, target_column);
end $$;

-- The second tenant fence: a role under row-level security sees only the rows for which `visible` holds.
-- Fenced without a condition means: no row at all, until a page needs some.
create procedure khata.fence(target regclass, visible text default null) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    if visible is not null then
        execute format('create policy seen on %s for select to khata_app using (%s)', target, visible);
    end if;
end $$;

-- A function with the owner's powers looks past the fence, so it asks itself on whose behalf it is called. This is the
-- role of the session, also where it was taken after login; the function's own is the owner.
create function khata.asked_by_web() returns boolean language sql stable as $$
    select coalesce(nullif(current_setting('role'), 'none'), session_user) not in ('khata_run', 'khata_owner', 'khata_admin')
$$;

create function khata.scope(setting text) returns bigint language sql stable as $$
    select nullif(current_setting('khata.' || setting, true), '')::bigint
$$;

create function khata.demand_office(doing text) returns void language plpgsql stable as $$
begin
    if khata.asked_by_web() and (khata.scope('office_from') is null or khata.scope('office_to') is null) then
        raise exception using errcode = '42501', message = doing || ' is for a person at an office, and this session has none';
    end if;
end $$;
grant execute on function khata.asked_by_web, khata.scope, khata.demand_office to khata_app, khata_run;
"""

AFTER = """
call khata.append_only('audit_record');
call khata.fence('audit_record');
-- The web writes what it did and reads none of it.
grant insert on audit_record to khata_app;
create policy written on audit_record for insert to khata_app with check (true);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.RunSQL(BEFORE),
        migrations.CreateModel(
            name='Record',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('actor', models.TextField(help_text='staff:<id>, run:<id> or command')),
                ('action', models.TextField(help_text='package.verb, e.g. billing.close-run')),
                ('object', models.TextField(help_text='package:kind:id')),
                ('reason', models.TextField(blank=True, default='')),
                ('details', models.JSONField(default=dict)),
            ],
        ),
        migrations.RunSQL(AFTER),
    ]
