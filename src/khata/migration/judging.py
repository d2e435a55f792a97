"""The rules that need more than one row, and the verdict on every row and account: SQL over whole files at a time.

A row belongs to the account of its division and `key`, its number without the zeros in front. The steps stand in the
order in which they are done; each fills or reads temporary tables that vanish with the transaction:

judge_copy   rows that stand once more in their file; no other rule looks at them
judge_key    an account: how many rows each file has of it, the longest text of its number
judge_whole  an account with what its first row in each file says
judge_found  what was found: rule, outcome, row, account
"""

import datetime as dt
import json
from typing import Any

from django.db import connection, transaction

from khata.migration.models import Wave
from khata.migration.rules import (
    KEPT_NUMBER,
    MOST_ACCOUNTS_OF_A_MOBILE,
    MOST_OUTSTANDING_PAISE_PER_KW,
    OLD_NUMBER,
    OLDEST_DAY,
    categories,
    rules,
    supply_types,
)

# -- the accounts ------------------------------------------------------------------------------------------------------

_ACCOUNTS = (
    # Sorts and hashes of seven lakh accounts; without stopping to compile each statement.
    "set local work_mem = '160MB'; set local jit = off",
    "select khata.analyze_staged()",
    """create temp table judge_supply on commit drop as
        select t ->> 0 as code, t ->> 1 as category, t ->> 2 as area from jsonb_array_elements(%(supply)s::jsonb) t""",
    """create temp table judge_file on commit drop as
        select distinct on (f.kind, f.division_id) f.id, f.kind, f.division_id, f.facts
        from migration_file f where f.wave_id = %(wave)s order by f.kind, f.division_id, f.version desc""",
    """create temp table judge_copy on commit drop as
        select s.file_id, s.line from migration_stagedrow s join (
            select file_id, key, digest, min(line) as first from migration_stagedrow
            where wave_id = %(wave)s and kind <> 'control' group by file_id, key, digest having count(*) > 1
        ) d on d.file_id = s.file_id and d.key = s.key and d.digest = s.digest and s.line > d.first""",
    "analyze judge_copy",
    """create temp table judge_key on commit drop as
        select s.division_id, s.key, max(length(s.account)) as digits, min(length(s.account)) as fewest_digits,
            count(*) filter (where s.kind = 'master') as masters,
            min(s.line) filter (where s.kind = 'master') as m_line,
            count(*) filter (where s.kind = 'billed') as bills, min(s.line) filter (where s.kind = 'billed') as b_line,
            count(*) filter (where s.kind = 'meters') as meters, min(s.line) filter (where s.kind = 'meters') as t_line,
            count(*) filter (where s.kind = 'heads') as heads, min(s.line) filter (where s.kind = 'heads') as h_line
        from migration_stagedrow s
        where s.wave_id = %(wave)s and s.kind <> 'control' and s.key <> ''
            and not exists (select from judge_copy c where c.file_id = s.file_id and c.line = s.line)
        group by s.division_id, s.key""",
    "analyze judge_key",
    # Zeros in front are all that the texts of a key differ in: the longest of them is the key filled up.
    """create temp table judge_whole on commit drop as
        select k.*, lpad(k.key, k.digits, '0') as number,
            m.file_id as m_file, m.rules as m_rules, m.name, m.mobile, m.mobile_key, m.address,
            m.category as m_category, m.load_w as m_load_w, m.outstanding_paise,
            coalesce(nullif(m.substation, ''), b.substation) as substation,
            coalesce(nullif(m.feeder, ''), b.feeder) as feeder,
            b.file_id as b_file, b.name as b_name, b.category as b_category, b.load_w as b_load_w, b.load_unit, b.book,
            b.meter as b_meter, b.smart, b.factor, b.bill_basis, b.bill_day, b.billed_wh, b.assessed_paise,
            b.payable_paise, b.previous_wh, b.previous_day, b.present_wh, b.present_day, b.demand_w,
            t.file_id as t_file, t.meter,
            h.file_id as h_file, h.principal_paise, h.lpsc_paise, h.deposit_paise, h.prepaid_paise, h.mode,
            h.supply_type, u.category as h_category, u.area,
            coalesce(nullif(m.load_w, 0), b.load_w) as load_w
        from judge_key k
        left join judge_file fm on fm.kind = 'master' and fm.division_id = k.division_id
        left join judge_file fb on fb.kind = 'billed' and fb.division_id = k.division_id
        left join judge_file ft on ft.kind = 'meters' and ft.division_id = k.division_id
        left join judge_file fh on fh.kind = 'heads' and fh.division_id = k.division_id
        left join migration_stagedrow m on m.file_id = fm.id and m.line = k.m_line
        left join migration_stagedrow b on b.file_id = fb.id and b.line = k.b_line
        left join migration_stagedrow t on t.file_id = ft.id and t.line = k.t_line
        left join migration_stagedrow h on h.file_id = fh.id and h.line = k.h_line
        left join judge_supply u on u.code = h.supply_type""",
    "analyze judge_whole",
)

# -- the rules ---------------------------------------------------------------------------------------------------------

_FOUND = """create temp table judge_found (
    rule text, outcome text, file_id bigint, line int, division_id int, key text, account text, said text
) on commit drop"""

_NO_COPY = "not exists (select from judge_copy c where c.file_id = s.file_id and c.line = s.line)"
# Of a row that is cut off or out of joint the number is no evidence: it is accused of that alone.
_WHOLE_ROW = "not (s.rules && array['MIG-21', 'MIG-22'])"


def _masked(mobile: str) -> str:
    return f"repeat('*', greatest(length({mobile}) - 2, 0)) || right({mobile}, 2)"


def _rupees(paise: str) -> str:
    return f"({paise} / 100.0)::numeric(20, 2)"


def _scripts(name: str) -> str:
    """Which of the two scripts a name is written in; empty for neither."""
    devanagari = f"case when {name} ~ '[\u0904-\u0939\u0958-\u0961\u0972-\u097f]' then 'Devanagari' end"
    return f"concat_ws('+', {devanagari}, case when {name} ~ '[A-Za-z]' then 'Latin' end)"


def _rows(rule: str, source: str, said: str = "''", *, outcome: str = "held") -> str:
    """A rule that accuses the staged rows `s` that a from-clause gives."""
    return f"""insert into judge_found
        select '{rule}', '{outcome}', s.file_id, s.line, s.division_id, s.key, s.account, {said} {source}"""


def _first(rule: str, letter: str, where: str, said: str = "''", *, outcome: str = "'held'") -> str:
    """A rule that compares an account's files and accuses its row in one of them: m, b, t or h."""
    return f"""insert into judge_found
        select '{rule}', {outcome}, w.{letter}_file, w.{letter}_line,
            w.division_id, w.key, s.account, {said}
        from judge_whole w join migration_stagedrow s on s.file_id = w.{letter}_file and s.line = w.{letter}_line
        where {where}"""


_BELOW = "s.present_wh / 1000 || ' < ' || s.previous_wh / 1000"
_NO_SUCH_DAY = """(greatest(s.bill_day, s.present_day, s.previous_day) > %(today)s
    or least(s.bill_day, s.present_day, s.previous_day) < %(oldest)s or s.present_day < s.previous_day)"""

_ONE_ROW = (
    # What the reader saw in a row, here or in the row of a control total.
    f"""insert into judge_found
        select r.rule, %(outcomes)s::jsonb ->> r.rule, s.file_id, s.line, s.division_id, s.key, s.account,
            case r.rule when 'MIG-17' then 'Devanagari+Latin' else coalesce(s.said ->> r.rule, '') end
        from migration_stagedrow s cross join unnest(s.rules) as r(rule)
        where s.wave_id = %(wave)s and s.rules <> '{{}}' and {_NO_COPY}""",
    """insert into judge_found
        select 'MIG-02', 'noted', f.id, 1, f.division_id, '', '', (f.facts ->> 'blank_lines_before_header')
        from judge_file f where (f.facts ->> 'blank_lines_before_header')::int > 0""",
    *(
        _rows(
            rule,
            f"from migration_stagedrow s where s.wave_id = %(wave)s and s.kind = '{kind}' and {hit} and {_NO_COPY}",
            said,
            outcome=outcome,
        )
        for rule, kind, outcome, hit, said in (
            ("MIG-13", "master", "repaired", "s.mobile <> '' and s.mobile_key = ''", _masked("s.mobile")),
            ("MIG-15", "master", "held", "s.category <> all (%(categories)s)", "s.category"),
            ("MIG-15", "billed", "held", "s.category <> all (%(categories)s)", "s.category"),
            ("MIG-11", "billed", "held", "s.present_wh < s.previous_wh", _BELOW),
            ("MIG-25", "billed", "held", _NO_SUCH_DAY, "concat_ws(', ', s.previous_day, s.present_day, s.bill_day)"),
        )
    ),
    _rows(
        "MIG-28",
        f"""from migration_stagedrow d join migration_stagedrow s
            on s.wave_id = d.wave_id and s.division_id = d.division_id and s.kind = 'billed'
            where d.wave_id = %(wave)s and d.kind = 'control' and s.division_code <> ''
            and upper(s.division_code) <> upper(d.division_code) and {_NO_COPY}""",
        "s.division_code",
    ),
    _rows(
        "MIG-15",
        f"""from migration_stagedrow s where s.wave_id = %(wave)s and s.kind = 'heads' and s.supply_type <> ''
            and not exists (select from judge_supply u where u.code = s.supply_type) and {_NO_COPY}""",
        "s.supply_type",
    ),
)

_NUMBERS = (
    _rows("MIG-05", "from judge_copy c join migration_stagedrow s on s.file_id = c.file_id and s.line = c.line"),
    # Rows of accounts that have several in a file, or whose number stands in two divisions.
    f"""create temp table judge_many on commit drop as
        select s.file_id, s.line, s.kind, s.division_id, s.key, s.account, w.number, w.elsewhere
        from (select *, count(*) over (partition by number) > 1 as elsewhere from judge_whole) w
        join migration_stagedrow s on s.wave_id = %(wave)s and s.division_id = w.division_id and s.key = w.key
            and s.kind <> 'control'
        where (w.masters > 1 or w.bills > 1 or w.meters > 1 or w.heads > 1 or w.elsewhere) and {_NO_COPY}
            and {_WHOLE_ROW}""",
    "analyze judge_many",
    _rows(
        "MIG-06",
        """from (select *, count(*) over (partition by file_id, account) as here,
                count(*) over (partition by kind, number) as of_number from judge_many) s
            where s.here > 1 or (s.elsewhere and s.of_number > 1)""",
    ),
    _rows(
        "MIG-07",
        """from (select *, min(account) over (partition by file_id, key) as one,
                max(account) over (partition by file_id, key) as other from judge_many) s where s.one <> s.other""",
        "s.one || ', ' || s.other",
    ),
    _rows(
        "MIG-08",
        f"""from judge_whole w join migration_stagedrow s
            on s.wave_id = %(wave)s and s.division_id = w.division_id and s.key = w.key and s.kind <> 'control'
            where w.fewest_digits < w.digits and length(s.account) < w.digits and {_NO_COPY}
            and not exists (select from judge_found f
                where f.rule = 'MIG-07' and f.division_id = s.division_id and f.key = s.key)""",
        "w.number",
        outcome="repaired",
    ),
    _rows(
        "MIG-09",
        f"""from judge_whole w join migration_stagedrow s
            on s.wave_id = %(wave)s and s.division_id = w.division_id and s.key = w.key and s.kind <> 'control'
            where w.number !~ %(number)s and {_NO_COPY} and {_WHOLE_ROW}""",
    ),
    _rows(
        "MIG-09",
        f"""from migration_stagedrow s
            where s.wave_id = %(wave)s and s.key = '' and s.kind <> 'control' and {_NO_COPY} and {_WHOLE_ROW}""",
    ),
    _rows(
        "MIG-10",
        f"""from judge_whole w join migration_stagedrow s
            on s.wave_id = %(wave)s and s.division_id = w.division_id and s.key = w.key and s.kind <> 'control'
            where (w.masters = 0 or w.bills = 0 or w.meters = 0 or w.heads = 0) and w.number ~ %(number)s
            and {_NO_COPY} and {_WHOLE_ROW}""",
        """concat_ws(', ', case when w.masters = 0 then 'master' end, case when w.bills = 0 then 'billed' end,
            case when w.meters = 0 then 'meters' end, case when w.heads = 0 then 'heads' end)""",
    ),
    _first(
        "MIG-29",
        "m",
        """w.number in (
            select o.number from consumers_oldnumber o join consumers_connection c on c.id = o.connection_id
            where o.discom_id = %(discom)s and c.live and c.wave <> %(code)s
            union all
            select c.account_number from consumers_connection c
            where %(kept)s and not (c.discom_id = %(discom)s and c.wave = %(code)s))""",
    ),
)

# What two files say of an account is compared where each has one row of it; otherwise it is held for that.
_COMPARED = (
    _rows(
        "MIG-04",
        f"""from (select s.*, min(s.division_id || ' ' || s.key) over (partition by s.meter) as one,
                max(s.division_id || ' ' || s.key) over (partition by s.meter) as other from migration_stagedrow s
                where s.wave_id = %(wave)s and s.kind = 'meters' and s.meter <> '' and {_NO_COPY}) s
            where s.one <> s.other""",
        "s.meter",
    ),
    _rows(
        "MIG-30",
        f"""from migration_stagedrow s join metering_meter e on e.serial = s.meter
            where s.wave_id = %(wave)s and s.kind = 'meters' and {_NO_COPY} and (e.discom_id <> %(discom)s or exists (
                select from metering_installation i join consumers_connection c on c.id = i.connection_id
                where i.meter_id = e.id and c.live and not (c.discom_id = %(discom)s and c.wave = %(code)s)
                and not exists (select from metering_installation later where later.connection_id = i.connection_id
                    and (later.from_date, later.revision) > (i.from_date, i.revision)
                    and later.from_date <= %(today)s)))""",
        "s.meter",
    ),
    _rows(
        "MIG-14",
        f"""from migration_stagedrow s join (select mobile_key, count(*) as accounts from judge_whole
                where mobile_key <> '' group by mobile_key having count(*) > %(most_accounts)s) o
                on o.mobile_key = s.mobile_key
            where s.wave_id = %(wave)s and s.kind = 'master' and {_NO_COPY}""",
        f"{_masked('s.mobile_key')} || ': ' || o.accounts",
        outcome="repaired",
    ),
    _first(
        "MIG-12",
        "m",
        "w.m_load_w = 0",
        "coalesce(w.b_load_w::text || ' W', '')",
        outcome="case when w.b_load_w > 0 then 'repaired' else 'held' end",
    ),
    _first(
        "MIG-12",
        "b",
        "w.b_load_w = 0",
        "coalesce(w.m_load_w::text || ' W', '')",
        outcome="case when w.m_load_w > 0 then 'repaired' else 'held' end",
    ),
    _first(
        "MIG-16",
        "h",
        """w.masters = 1 and w.bills = 1 and w.heads = 1 and w.m_category = any (%(categories)s)
            and w.b_category = any (%(categories)s) and w.h_category is not null
            and (w.m_category <> w.b_category or w.m_category <> w.h_category)""",
        "concat_ws(', ', w.m_category, w.b_category, w.supply_type)",
    ),
    _first(
        "MIG-17",
        "b",
        f"""w.masters = 1 and w.bills = 1 and not w.m_rules @> array['MIG-17'] and {_scripts("w.name")} <> ''
            and {_scripts("w.b_name")} <> '' and {_scripts("w.name")} <> {_scripts("w.b_name")}""",
        f"{_scripts('w.name')} || ', ' || {_scripts('w.b_name')}",
        outcome="'repaired'",
    ),
    _first(
        "MIG-18",
        "m",
        "w.masters = 1 and w.heads = 1 and w.outstanding_paise <> w.principal_paise + w.lpsc_paise",
        f"""{_rupees("w.outstanding_paise")} || ' <> ' || {_rupees("w.principal_paise")} || ' + '
            || {_rupees("w.lpsc_paise")}""",
    ),
    _first(
        "MIG-26",
        "m",
        "w.load_w > 0 and w.outstanding_paise::numeric * 1000 > %(most_paise)s::numeric * w.load_w",
        f"{_rupees('w.outstanding_paise')} || ', ' || w.load_w || ' W'",
    ),
    _first(
        "MIG-27",
        "b",
        """w.masters = 1 and w.bills = 1 and w.load_unit = 'KW' and w.m_load_w <> 0 and w.b_load_w <> 0
            and w.m_load_w <> w.b_load_w""",
        "w.m_load_w || ' W, ' || w.b_load_w || ' W'",
    ),
    _first(
        "MIG-31",
        "b",
        "w.bills = 1 and w.meters = 1 and w.meter <> '' and w.b_meter <> '' and w.meter <> w.b_meter",
        "w.meter || ', ' || w.b_meter",
    ),
    # Sums of all rows, copies too: that is what the signature is on. A corrected amount is then a difference to sign.
    """with summed as (
            select division_id, count(*) filter (where kind = 'master') as accounts,
                sum(principal_paise) as principal, sum(lpsc_paise) as lpsc, sum(deposit_paise) as deposit,
                sum(prepaid_paise) as prepaid, sum(outstanding_paise) as outstanding, sum(billed_wh) as billed
            from migration_stagedrow where wave_id = %(wave)s and kind <> 'control' group by division_id)
        insert into judge_found
        select 'MIG-19', 'noted', s.file_id, s.line, s.division_id, '', '', string_agg(v.word, ', ' order by v.n)
        from migration_stagedrow s left join summed x on x.division_id = s.division_id
        cross join lateral (values
            (1, 'ACCOUNTS', s.accounts, coalesce(x.accounts, 0)),
            (2, 'PRINCIPAL', s.principal_paise, coalesce(x.principal, 0)),
            (3, 'LPSC', s.lpsc_paise, coalesce(x.lpsc, 0)),
            (4, 'DEPOSIT', s.deposit_paise, coalesce(x.deposit, 0)),
            (5, 'PREPAID_BALANCE', s.prepaid_paise, coalesce(x.prepaid, 0)),
            (6, 'TOTAL_OUTSTANDING', s.outstanding_paise, coalesce(x.outstanding, 0)),
            (7, 'BILLED_UNITS', s.billed_wh, coalesce(x.billed, 0))
        ) as v(n, word, signed, summed)
        where s.wave_id = %(wave)s and s.kind = 'control' and v.signed <> v.summed
        group by s.file_id, s.line, s.division_id""",
)

# -- the verdicts ------------------------------------------------------------------------------------------------------

_OUTCOMES = (
    "analyze judge_found",
    """create temp table judge_verdict on commit drop as
        select division_id, key, bool_or(outcome = 'held') as held, array_agg(distinct rule order by rule) as rules
        from judge_found where outcome <> 'noted' and rule <> 'MIG-05' and key <> '' group by division_id, key""",
    "analyze judge_verdict",
    # Every row of a held account is held; a row that is found fault with for itself has its own outcome.
    """create temp table judge_row on commit drop as
        select file_id, line, case when bool_or(held) then 'held' else 'repaired' end as outcome from (
            select f.file_id, f.line, f.outcome = 'held' as held from judge_found f where f.outcome <> 'noted'
            union all
            select s.file_id, s.line, true from judge_verdict v join migration_stagedrow s
                on s.wave_id = %(wave)s and s.division_id = v.division_id and s.key = v.key where v.held
        ) as one group by file_id, line""",
    "analyze judge_row",
    """create temp table judge_finding on commit drop as
        select distinct on (f.file_id, f.line, f.rule) f.rule, f.outcome, f.file_id, f.line, f.division_id, f.account,
            left(coalesce(f.said, ''), 200) as said,
            case when f.outcome <> 'held' then 0
                when s.kind = 'heads' then coalesce(s.principal_paise, 0) + coalesce(s.lpsc_paise, 0)
                when f.rule = 'MIG-05' then 0
                else coalesce(w.principal_paise, 0) + coalesce(w.lpsc_paise, 0) end as amount_paise
        from judge_found f left join migration_stagedrow s on s.file_id = f.file_id and s.line = f.line
        left join judge_whole w on w.division_id = f.division_id and w.key = f.key
        order by f.file_id, f.line, f.rule, f.outcome""",
    "analyze judge_finding",
)

# What is written; only what differs.
_WRITTEN = (
    """update migration_stagedrow s set outcome = 'migrated'
        where s.wave_id = %(wave)s and s.outcome in ('held', 'repaired')
        and not exists (select from judge_row r where r.file_id = s.file_id and r.line = s.line)""",
    """update migration_stagedrow s set outcome = r.outcome from judge_row r
        where s.file_id = r.file_id and s.line = r.line and s.outcome <> r.outcome and s.kind <> 'control'""",
    """delete from migration_finding o where o.wave_id = %(wave)s and not exists (
        select from judge_finding n where n.file_id = o.file_id and n.line = o.line and n.rule = o.rule
            and (n.outcome, n.account, n.said, n.amount_paise) = (o.outcome, o.account, o.said, o.amount_paise))""",
    """insert into migration_finding (wave_id, division_id, rule, outcome, file_id, line, account, said, amount_paise)
        select %(wave)s, n.division_id, n.rule, n.outcome, n.file_id, n.line, n.account, n.said, n.amount_paise
        from judge_finding n where not exists (
            select from migration_finding o where o.file_id = n.file_id and o.line = n.line and o.rule = n.rule)
        order by n.file_id, n.line, n.rule""",
)

# Columns of an account and where they come from. Its new number and its connection are never touched here.
_COLUMNS = {
    "division_id": "w.division_id",
    "outcome": "case when v.held then 'held' when v.key is null then 'migrated' else 'repaired' end",
    "rules": "coalesce(v.rules, '{}')",
    **{name: f"coalesce(w.{name}, '')" for name in ("name", "mobile", "address", "mode", "substation", "feeder")},
    "mobile_key": "case when v.rules @> array['MIG-14'] then '' else coalesce(w.mobile_key, '') end",
    "language": "'hi'",
    "category": "coalesce(w.h_category, w.m_category, '')",
    "area": "coalesce(w.area, '')",
    "load_w": "w.load_w",
    "book": "coalesce(w.book, '')",
    "meter": "coalesce(w.meter, '')",
    "smart": "coalesce(w.smart, false)",
    "factor": "coalesce(w.factor, 1)",
    "bill_basis": "coalesce(w.bill_basis, '')",
    **{
        name: f"w.{name}"
        for name in (
            "bill_day", "billed_wh", "assessed_paise", "payable_paise", "previous_wh", "previous_day", "present_wh",
            "present_day", "demand_w",
        )
    },
    **{name: f"coalesce(w.{name}, 0)" for name in ("principal_paise", "lpsc_paise", "deposit_paise", "prepaid_paise")},
    "heads_file_id": "w.h_file",
    "heads_line": "w.h_line",
}  # fmt: skip


def _take_accounts() -> str:
    names = ", ".join(_COLUMNS)
    old, new = (", ".join(f"{table}.{name}" for name in _COLUMNS) for table in ("o", "excluded"))
    return f"""insert into migration_account as o (wave_id, old_number, account_number, {names})
        select distinct on (w.number) %(wave)s, w.number, '', {", ".join(_COLUMNS.values())}
        from judge_whole w left join judge_verdict v on v.division_id = w.division_id and v.key = w.key
        order by w.number, w.division_id
        on conflict (wave_id, old_number) do update set ({names}) = ({new})
        where ({old}) is distinct from ({new})"""


# An account that was in the files once and is no longer: it waits, without money, until it comes again.
_GONE = """update migration_account o set outcome = 'held', rules = array['MIG-10'], principal_paise = 0,
        lpsc_paise = 0, deposit_paise = 0, prepaid_paise = 0, heads_file_id = null, heads_line = null
    where o.wave_id = %(wave)s and not exists (select from judge_whole w where w.number = o.old_number)
    and (o.outcome, o.rules, o.heads_line) is distinct from ('held', array['MIG-10'], null::int)"""


def judge(wave: Wave, *, today: dt.date) -> int:
    """Apply all rules to the staged rows of a wave: outcomes of rows, findings, accounts.

    What is as it was stays untouched; returns how many rows, findings and accounts are otherwise than before.
    """
    given: dict[str, Any] = {
        "wave": wave.id,
        "discom": wave.discom_id,
        "code": wave.code,
        "kept": wave.numbers == "kept",
        "number": KEPT_NUMBER if wave.numbers == "kept" else OLD_NUMBER,
        "today": today,
        "oldest": OLDEST_DAY,
        "outcomes": json.dumps({number: rule.outcome for number, rule in rules().items()}),
        "categories": list(categories()),
        "supply": json.dumps([[one.code, one.category, one.area] for one in supply_types().values()]),
        "most_accounts": MOST_ACCOUNTS_OF_A_MOBILE,
        "most_paise": MOST_OUTSTANDING_PAISE_PER_KW,
    }
    otherwise = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (*_ACCOUNTS, _FOUND, *_ONE_ROW, *_NUMBERS, *_COMPARED, *_OUTCOMES):
            cursor.execute(statement, given)
        for statement in (*_WRITTEN, _take_accounts(), _GONE):
            cursor.execute(statement, given)
            otherwise += cursor.rowcount
        for name in ("supply", "file", "copy", "key", "whole", "found", "many", "verdict", "row", "finding"):
            cursor.execute(f"drop table judge_{name}")  # a second judgement may stand in the same transaction
    return otherwise
