-- The roles of Khata and what they may do in this database. Run it as an administrator, connected to Khata's own database:
--     createdb khata && psql -d khata -f roles.sql
-- It may be run again at any time. Khata runs it by itself on the server that it keeps under var/.
--
-- khata_owner  owns the tables and migrates. It must see every row when it does, hence BYPASSRLS.
-- khata_app    the web. Row-level security shows it what the scope of its transaction allows, and nothing else.
-- khata_run    worker, bill run, load. Past row-level security, because PostgreSQL refuses COPY FROM under it.
--
-- Elsewhere than on Khata's own server, KHATA_DATABASE_URL names one login that is a member and inherits nothing;
-- each process then takes its role when it connects:
--     create role khata login noinherit password '…' in role khata_app, khata_run;

do $$
begin
  if not exists (select from pg_roles where rolname = 'khata_owner') then
    create role khata_owner login createdb bypassrls;
  end if;
  if not exists (select from pg_roles where rolname = 'khata_app') then
    create role khata_app login;
  end if;
  if not exists (select from pg_roles where rolname = 'khata_run') then
    create role khata_run login bypassrls;
  end if;
  if exists (select from pg_roles where rolname = 'khata_app' and (rolsuper or rolbypassrls)) then
    raise exception 'khata_app is a superuser or passes row-level security: the tenant fence would not hold'
      using hint = 'alter role khata_app nosuperuser nobypassrls;';
  end if;
  if exists (select from pg_roles where rolname in ('khata_owner', 'khata_run') and not rolbypassrls) then
    raise exception 'khata_owner or khata_run lacks BYPASSRLS: it would work on some of the rows without saying so'
      using hint = 'alter role khata_owner bypassrls; alter role khata_run bypassrls;';
  end if;
  -- Only a superuser may act for a role whose rights it has not been given.
  if not pg_has_role('khata_owner', 'usage') then
    execute format('grant khata_owner to %I', current_user);
  end if;
  execute format('alter database %I owner to khata_owner', current_database());
end
$$;

-- A part reads a few thousand rows by key from tables that are in memory: an index costs it little, a table scan all.
alter role khata_run set random_page_cost = '0.5';
alter role khata_run set max_parallel_workers_per_gather = '0';
alter role khata_run set work_mem = '64MB';

-- A temporary table could stand in the way of a real one. Only runs stage their rows in some.
do $$
begin
  execute format('revoke temporary on database %I from public', current_database());
  execute format('grant temporary on database %I to khata_run, khata_owner', current_database());
end
$$;
revoke create on schema public from public;
grant usage, create on schema public to khata_owner;
grant usage on schema public to khata_app, khata_run;

-- What is not named here is granted table by table, in the migration that makes the table.
alter default privileges for role khata_owner in schema public grant select on tables to khata_app;
alter default privileges for role khata_owner in schema public grant select, insert on tables to khata_run;
alter default privileges for role khata_owner in schema public grant usage on sequences to khata_run;
