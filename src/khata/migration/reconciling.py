"""The equations of a wave, per division and head, and the digest of what its cut-over put in place.

file = migrated + held; file = signed totals; migrated = opened here.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from khata.migration.models import Act, Wave
from khata.migration.queries import accepted, state

# head: (kind of file, column of its rows, column of the signed totals, head of the ledger)
# The ledger tells `accounts` by live connections and `readings` by the registers with which meters were opened.
HEADS = {
    "accounts": ("master", "1", "accounts", ""),
    "principal": ("heads", "principal_paise", "principal_paise", "consumers"),
    "lpsc": ("heads", "lpsc_paise", "lpsc_paise", "lpsc"),
    "deposit": ("heads", "deposit_paise", "deposit_paise", "deposit"),
    "prepaid": ("heads", "prepaid_paise", "prepaid_paise", "prepaid"),
    "outstanding": ("master", "outstanding_paise", "outstanding_paise", ""),
    "billed_units": ("billed", "billed_wh", "billed_wh", ""),
    "readings": ("billed", "present_wh * factor", "", ""),
}
OF_ACCOUNTS = {"accounts": "1", "outstanding": "principal_paise + lpsc_paise"}  # the others: the rows' own columns
OWED_BY_THE_COMPANY = ("deposit", "prepaid")  # below 0 in the ledger
MOST_ACCOUNTS = 20


@dataclass(frozen=True)
class Line:
    """One equation. Paise, Wh or a count; None where there is nothing to compare with.

    `differences` are file - migrated - held, file - control and migrated - ledger; `difference` is the first of them
    that is neither 0 nor accepted, or else the first that is not 0. `accepted`: each that is not 0.
    """

    division: int
    division_en: str
    division_hi: str
    head: str
    file: int
    control: int | None
    migrated: int
    held: int
    ledger: int | None
    differences: tuple[int, int, int]
    difference: int
    accepted: bool

    @property
    def about(self) -> str:
        """What an acceptance of this very difference is about."""
        return about_line(self.division, self.head, self.difference)

    @property
    def red(self) -> bool:
        return self.difference != 0 and not self.accepted


def reconcile(wave: Wave, *, books: bool = True) -> list[Line]:
    """Every equation of every division of the wave, by division and in the order of HEADS.

    Without `books` the ledger is left out: of a large live wave it takes a page too long.
    """
    rows, totals, moved = _of_rows(wave), _of_totals(wave), _of_accounts(wave)
    opened = _of_ledger(wave) if books and state(wave) == "live" else None
    lines = []
    for division, (name_en, name_hi) in _divisions(wave).items():
        for head, (_, _, signed, _) in HEADS.items():
            file, held = rows.get((division, head), (0, 0))
            control = totals.get((division, head)) if signed else None
            migrated = moved.get((division, head), 0)
            ledger = _booked(opened, division, head)
            apart = (
                file - migrated - held,
                file - control if control is not None else 0,
                migrated - ledger if ledger is not None else 0,
            )
            wrong = [each for each in apart if each]
            unsigned = [each for each in wrong if not accepted(wave, about_line(division, head, each))]
            first, done = next(iter(unsigned or wrong), 0), bool(wrong) and not unsigned
            lines.append(
                Line(division, name_en, name_hi, head, file, control, migrated, held, ledger, apart, first, done)
            )
    return lines


def about_line(division: int, head: str, difference: int) -> str:
    """How a proposal names a difference."""
    return f"equation:{division}:{head}:{difference}"


def _booked(opened: dict[tuple[int, str], int] | None, division: int, head: str) -> int | None:
    if opened is None or head == "billed_units":  # last bills are kept to be shown, and stand in no book
        return None
    if head == "outstanding":
        return opened.get((division, "principal"), 0) + opened.get((division, "lpsc"), 0)
    return opened.get((division, head), 0)


def _query(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def _divisions(wave: Wave) -> dict[int, tuple[str, str]]:
    """Names of the divisions that files or signed totals speak of."""
    query = """
        select o.id, o.name_en, o.name_hi from discoms_office o
        where exists (select from migration_stagedrow s where s.wave_id = %s and s.division_id = o.id)
        order by o.id"""
    return {int(row[0]): (str(row[1]), str(row[2])) for row in _query(query, wave.id)}


def _of_rows(wave: Wave) -> dict[tuple[int, str], tuple[int, int]]:
    """Of each division and head the sum of all rows, and of those that are held. What cannot be read counts 0."""
    sums: dict[tuple[int, str], tuple[int, int]] = {}
    for kind in ("master", "heads", "billed"):
        of_kind = {head: column for head, (of, column, _, _) in HEADS.items() if of == kind}
        columns = ", ".join(
            f"coalesce(sum({column}), 0)::bigint, "
            f"coalesce(sum({column}) filter (where outcome not in ('migrated', 'repaired')), 0)::bigint"
            for column in of_kind.values()
        )
        query = f"select division_id, {columns} from migration_stagedrow where wave_id = %s and kind = %s group by 1"
        for division, *values in _query(query, wave.id, kind):
            for place, head in enumerate(of_kind):
                sums[division, head] = values[2 * place], values[2 * place + 1]
    return sums


def _of_totals(wave: Wave) -> dict[tuple[int, str], int]:
    """What the company's accounts officer signed. A head that was left empty is not compared."""
    signed = {head: column for head, (_, _, column, _) in HEADS.items() if column}
    columns = ", ".join(f"sum({column})::bigint" for column in signed.values())
    query = f"select division_id, {columns} from migration_stagedrow where wave_id = %s and kind = 'control' group by 1"
    totals = {}
    for division, *values in _query(query, wave.id):
        totals.update(
            {(division, head): value for head, value in zip(signed, values, strict=True) if value is not None}
        )
    return totals


def _of_accounts(wave: Wave) -> dict[tuple[int, str], int]:
    """The sums over the accounts that move."""
    columns = ", ".join(
        f"coalesce(sum({OF_ACCOUNTS.get(head, column)}), 0)::bigint" for head, (_, column, _, _) in HEADS.items()
    )
    query = f"""
        select division_id, {columns} from migration_account
        where wave_id = %s and outcome <> 'held' group by 1"""
    return {
        (division, head): value
        for division, *values in _query(query, wave.id)
        for head, value in zip(HEADS, values, strict=True)
    }


def last_act(wave: Wave, kind: str) -> Act | None:
    """The wave's newest load, cut-over or rollback."""
    return Act.objects.filter(wave=wave, kind=kind).order_by("-number").first()


def opened_after(wave: Wave) -> int:
    """The ledger's entries of the last cut-over have higher numbers than this; 0 before the first."""
    act = last_act(wave, "cutover")
    return int(act.details["after_entry"]) if act else 0


def _of_ledger(wave: Wave) -> dict[tuple[int, str], int]:
    """What the present cut-over put in place, with the signs of the files."""
    heads = {ledger: head for head, (_, _, _, ledger) in HEADS.items() if ledger}
    found: dict[tuple[int, str], int] = {}
    for division, code, amount in _query("select * from khata.opened(%s, %s)", wave.id, opened_after(wave)):
        head = heads.get(str(code), str(code))  # accounts and readings are called as they are
        found[division, head] = -amount if head in OWED_BY_THE_COMPANY else amount
    return found


# -- the accounts behind a red line ------------------------------------------------------------------------------------


def behind(wave: Wave, line: Line) -> list[str]:
    """Up to twenty numbers of accounts whose rows can explain a difference; the likeliest first, none if no row can."""
    sides, control, ledger = line.differences
    if sides or control:
        return _suspects(wave, line, sides or control)
    return _not_opened(wave, line) if ledger else []


def _suspects(wave: Wave, line: Line, difference: int) -> list[str]:
    """Rows that could not be read, then those that bear this very amount, then what else is held."""
    kind, column, _, _ = HEADS[line.head]
    query = f"""
        select account from (
            select account, min(case when {column} is null or rules && array['MIG-21', 'MIG-22', 'MIG-23'] then 0
                                     when abs({column}) = %s and %s <> 1 then 1
                                     when outcome = 'held' and exists (
                                         select from migration_finding f where f.file_id = s.file_id and f.line = s.line
                                     ) then 2 end) as rank
            from migration_stagedrow s where wave_id = %s and division_id = %s and kind = %s and account <> ''
            group by account) as q
        where rank is not null order by rank, account limit %s"""
    size = abs(difference)
    return [str(row[0]) for row in _query(query, size, size, wave.id, line.division, kind, MOST_ACCOUNTS)]


_WITHOUT_CONNECTION = """
    select a.old_number from migration_account a left join consumers_connection c on c.id = a.connection_id and c.live
    where a.wave_id = %s and a.division_id = %s and (a.outcome = 'held') = (c.id is not null)
    order by 1 limit %s"""
_OTHER_REGISTER = """
    select a.old_number from migration_account a left join metering_meter m on m.serial = a.meter
    left join lateral (
        select r.register_wh from metering_reading r
        where r.meter_id = m.id and r.day = a.present_day order by r.revision desc limit 1) r on true
    where a.wave_id = %s and a.division_id = %s and a.outcome <> 'held'
      and r.register_wh is distinct from a.present_wh * a.factor
    order by 1 limit %s"""
_OTHER_OPENING = """
    select a.old_number from migration_account a
    left join (
        select p.subject, sum(p.amount_paise) as amount from ledger_posting p
        join ledger_entry e on e.id = p.entry_id and e.kind = 'opening'
        join ledger_head h on h.id = p.head_id and h.code = any(%s)
        where p.entry_id > %s group by p.subject) o on o.subject = a.connection_id
    where a.wave_id = %s and a.division_id = %s
      and coalesce(o.amount, 0) * %s <> case a.outcome when 'held' then 0 else {} end
    order by 1 limit %s"""


def _not_opened(wave: Wave, line: Line) -> list[str]:
    if line.head == "accounts":
        rows = _query(_WITHOUT_CONNECTION, wave.id, line.division, MOST_ACCOUNTS)
    elif line.head == "readings":
        rows = _query(_OTHER_REGISTER, wave.id, line.division, MOST_ACCOUNTS)
    else:
        _, column, _, code = HEADS[line.head]
        query = _OTHER_OPENING.format(OF_ACCOUNTS.get(line.head, column))
        sign = -1 if line.head in OWED_BY_THE_COMPANY else 1
        codes = [code] if code else ["consumers", "lpsc"]
        rows = _query(query, codes, opened_after(wave), wave.id, line.division, sign, MOST_ACCOUNTS)
    return [str(row[0]) for row in rows]


# -- the digest --------------------------------------------------------------------------------------------------------

_DIGEST_PEOPLE = """
    select concat_ws('|', c.account_number, o.number, c.division_id, c.address, p.name, p.mobile, p.mobile_key,
        p.language, t.category, t.area, t.mode, t.load_w, t.ended)
    from migration_account a
    join consumers_connection c on c.id = a.connection_id join consumers_consumer p on p.id = c.consumer_id
    left join consumers_oldnumber o on o.connection_id = c.id
    cross join lateral (
        select * from consumers_terms t where t.connection_id = c.id and t.from_date <= a.present_day
        order by t.from_date desc, t.revision desc limit 1) t
    where a.wave_id = %(wave)s and a.outcome <> 'held'
    order by c.account_number collate "C", o.number collate "C" """
_DIGEST_METERS = """
    select concat_ws('|', a.account_number, m.serial, m.smart, i.factor, y.code, r.day, r.register_wh, r.demand_w)
    from migration_account a
    cross join lateral (
        select i.meter_id, i.factor, i.cycle_id from metering_installation i
        where i.connection_id = a.connection_id and i.from_date <= a.present_day
        order by i.from_date desc, i.revision desc limit 1) i
    join metering_meter m on m.id = i.meter_id left join metering_readingcycle y on y.id = i.cycle_id
    left join lateral (
        select r.day, r.register_wh, r.demand_w from metering_reading r
        where r.meter_id = m.id and r.day = a.present_day order by r.revision desc limit 1) r on true
    where a.wave_id = %(wave)s and a.outcome <> 'held'
    order by a.account_number collate "C" """
_DIGEST_OPENINGS = """
    select concat_ws('|', a.account_number, h.code, p.amount_paise)
    from migration_account a
    join ledger_posting p on p.subject = a.connection_id and p.entry_id > %(after)s
    join ledger_entry e on e.id = p.entry_id and e.kind = 'opening'
    join ledger_head h on h.id = p.head_id
    where a.wave_id = %(wave)s and a.outcome <> 'held'
    order by a.account_number collate "C", h.code collate "C" """


def digest(wave: Wave) -> str:
    """SHA-256 over what the last cut-over put in place, without ids and times: equal for equal files and numbers."""
    after = opened_after(wave)
    sha = hashlib.sha256()
    # What was written a moment ago is not in the planner's statistics: it would look postings up one by one.
    plans = ((_DIGEST_PEOPLE, "on"), (_DIGEST_METERS, "on"), (_DIGEST_OPENINGS, "off"))
    with transaction.atomic(), connection.cursor() as cursor:
        for query, one_by_one in plans:
            cursor.execute(f"set local enable_nestloop = {one_by_one}")
            with cursor.cursor.copy(f"copy ({query}) to stdout", {"wave": wave.id, "after": after}) as rows:
                for block in rows:
                    sha.update(block)
            sha.update(b"\n--\n")
        cursor.execute("set local enable_nestloop = on")
    return sha.hexdigest()
