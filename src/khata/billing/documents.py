"""A bill on paper: everything that stands on it, and its PDF (docs/documents.md says where each thing comes from).

What is shown is what was known when the bill was issued, so that the same bill gives the same bytes at any later time.
"""

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from khata.billing.models import Bill, BillPart
from khata.billing.queries import MonthUsed, bill_view, months_used
from khata.consumers.models import Connection
from khata.discoms.models import Discom
from khata.display.account import parted
from khata.display.bill_text import BillView, LineView, SlabView, demand_words, estimated, line_name
from khata.display.dates import axis_month, day, month, months, short_day
from khata.display.labels import LANGUAGES, Label, Language, heading, line_label, unit
from khata.display.money import amount, grouped, kw, kwh, rate, rupees, scaled
from khata.display.paper import BILL, OTHER, CompanyPaper, words
from khata.display.sources import category_words, clause_words, order_words
from khata.display.typeset import pdf
from khata.display.upi import qr_svg, upi_link
from khata.display.words import rupees_in_words
from khata.ledger.models import Posting
from khata.ledger.rules import PAYMENTS
from khata.metering.models import Meter

TEMPLATE = Path(__file__).with_name("bill.typ")
_TOLD_SEVERAL = 2  # bills for several months that are told in words beneath the chart
_MONTHS = 13  # twelve shown, and the one a year before the newest


@dataclass(frozen=True)
class LastPayment:
    day: dt.date
    amount_paise: int


@dataclass(frozen=True)
class BillPaper:
    """All that stands on a printed bill. The months of use end with the one it bills and begin a year before: 13."""

    view: BillView
    language: Language
    company: CompanyPaper
    used_in: tuple[dt.date, dt.date]  # first and last month of use: the bill's name
    address: str
    mobile: str  # masked to the last four digits; empty if there is none
    prepaid: bool
    smart: bool
    months: tuple[MonthUsed, ...]
    last_payment: LastPayment | None
    reference: str  # of a payment by UPI: another issue of the bill has another


def company_paper(discom: Discom) -> CompanyPaper:
    return CompanyPaper(
        name_hi=discom.name_hi,
        name_en=discom.name_en,
        phone=discom.phone,
        email=discom.email,
        address_hi=discom.place_hi,
        address_en=discom.place_en,
        upi_address=discom.upi_address,
        upi_name=discom.upi_name,
        merchant_code=discom.merchant_code,
        key_colour=discom.key_colour,
    )


def bill_paper(bill: Bill, *, language: Language, company: CompanyPaper) -> BillPaper:
    """Collect what stands on a bill, for its consumer: names and address are not masked."""
    view = bill_view(bill, language, mask_name=False)
    connection = Connection.objects.select_related("consumer").get(id=bill.connection_id)
    last = BillPart.objects.select_related("terms").filter(bill=bill).order_by("-number")[0]
    mobile = connection.consumer.mobile_key
    return BillPaper(
        view=view,
        language=language,
        company=company,
        used_in=bill.used_in,
        address=connection.address,
        mobile=f"******{mobile[-4:]}" if mobile else "",
        prepaid=last.terms.mode == "prepaid",
        smart=Meter.objects.filter(id__in=last.meters, smart=True).exists(),
        months=tuple(months_used(connection_id=connection.id, until=bill.cycle, months=_MONTHS, entry=bill.entry_id)),
        last_payment=_last_payment(bill),
        reference=f"{bill.number}R{bill.revision}",
    )


def bill_pdf(paper: BillPaper) -> bytes:
    """One page of A4, tagged, with searchable text; the same paper always gives the same bytes."""
    return bills_pdf([paper])


def bills_pdf(papers: Sequence[BillPaper]) -> bytes:
    """The same for several bills of one company, a page each: for print."""
    first, last = papers[0], papers[-1]
    numbers = " – ".join(dict.fromkeys((first.view.bill_number, last.view.bill_number)))
    data = {
        "title": f"{BILL['bill'].in_(first.language)} {numbers}",
        "author": first.company.name(first.language),
        "lang": first.language,
        "words": {language: words(BILL, language) for language in LANGUAGES},
        "bills": [_data(paper) for paper in papers],
    }
    return pdf(template=TEMPLATE, data=data, made=first.view.bill_date)


# -- what is read besides the view -------------------------------------------------------------------------------------


def _last_payment(bill: Bill) -> LastPayment | None:
    """The newest receipt in the books when the bill was posted, as the arrears on it are those of that moment."""
    receipts = Posting.objects.filter(subject=bill.connection_id, entry__kind__in=PAYMENTS, entry__lt=bill.entry_id)
    newest = receipts.order_by("-entry").values_list("entry__business_date", "amount_paise").first()
    return LastPayment(newest[0], -newest[1]) if newest else None


# -- as the template wants it: texts, and numbers in thousandths for lengths -------------------------------------------


def _data(paper: BillPaper) -> dict[str, object]:
    view, language = paper.view, paper.language
    lines = list(_lines(view.lines, language))
    return {
        "lang": language,
        "other": OTHER[language],
        "colour": paper.company.key_colour,
        "company": _company(paper),
        "use": _said(BILL["use_of"], language, month=months(*paper.used_in, language)),
        "number": view.bill_number,
        "draft": view.draft,
        "hero": _hero(paper),
        "account": parted(view.account_number),
        "old": _old_number(view, language),
        "person": {"name": view.name, "address": paper.address, "mobile": paper.mobile},
        "facts": _facts(paper),
        "readings": [
            [
                each.meter_number,
                str(each.multiplier),
                [kwh(each.previous_wh), _read_on(each.previous_day, each.previous_estimated, language)],
                [kwh(each.present_wh), _read_on(each.present_day, each.present_estimated, language)],
                kwh(each.consumption_wh),
            ]
            for each in view.readings
        ],
        "estimated": heading("estimated_why", language) if estimated(view.readings) else "",
        "lines": lines,
        "totals": _totals(view),
        "words": rupees_in_words(max(view.payable_paise, 0), language),
        "payment": _payment(paper),
        "slabs": _slabs(view.slabs, language),
        "chart": _chart(paper),
        "upi": _upi(paper),
        "notes": _notes(paper),
        "orders": "; ".join(order_words(order, language) for order in view.orders),
        **_size(paper, lines),
    }


# A page at full size: what stands on every bill, in rows of the table of charges, and all that there is room for.
_FULL_SIZE, _FIXED_ROWS, _PAGE_ROWS = 1060, 40, 57


def _size(paper: BillPaper, lines: list[dict[str, str]]) -> dict[str, object]:
    """How large to print, in thousandths, and whether that surely fits (`roomy`), so that nothing need be measured."""
    company, view = paper.company, paper.view
    rows = sum(1 + len(line["name"] + line["other"]) // 32 for line in lines)
    more = 2 * len(view.readings) + len(view.name) // 40 + len(paper.address) // 40 + 2 * view.draft
    guess = estimated(view.readings)
    more += 3 * guess  # its sentence, and dates that break
    short = max(len(company.name_hi), len(company.name_en), len(view.name)) <= 40 and len(paper.address) <= 80
    contact = len(company.address(paper.language) + company.phone + company.email) <= 60
    few = rows <= 14 and len(view.readings) == len(view.orders) == 1 and len(view.slabs) <= 5
    total = max(_FIXED_ROWS + rows + more, _PAGE_ROWS)
    # Smaller letters also break fewer lines: of twice the rows, each needs less than half the height.
    size = math.isqrt(_FULL_SIZE**2 * _PAGE_ROWS // total)
    return {"size": size, "roomy": few and short and contact and not guess}


def _company(paper: BillPaper) -> dict[str, object]:
    company, language = paper.company, paper.language
    contact = (company.address(language), company.phone, company.email)
    return {
        "name": [company.name(language), company.name(OTHER[language])],
        "contact": " · ".join(part for part in contact if part),
    }


def _hero(paper: BillPaper) -> dict[str, object]:
    """The one big number, with the two things to know beside it."""
    view, language = paper.view, paper.language
    return {
        "label": "payable" if view.payable_paise > 0 else "advance",
        "amount": rupees(abs(view.payable_paise)),
        "due": day(view.due_date, language) if view.due_date and view.payable_paise > 0 else "",
        "units": kwh(view.energy_wh),
    }


def _old_number(view: BillView, language: Language) -> dict[str, object] | None:
    if view.old_number is None or view.old_number_last_day is None:
        return None
    until = [_said(BILL["valid_until"], each, day=day(view.old_number_last_day, each)) for each in _both(language)]
    return {"number": view.old_number, "until": until}


def _facts(paper: BillPaper) -> list[list[str]]:
    view, language = paper.view, paper.language
    days = (view.period_end - view.period_start).days
    last = short_day(view.period_end - dt.timedelta(days=1), language)
    span = f"{short_day(view.period_start, language)} – {last} ({days} {BILL['days'].in_(language)})"
    return [
        ["period", span],
        ["bill_date", day(view.bill_date, language)],
        ["bill_number", view.bill_number],
        ["division", view.division],
        ["category", category_words(view.category, language)],
        ["supply", BILL["prepaid" if paper.prepaid else "postpaid"].in_(language)],
        ["load", f"{kw(view.sanctioned_load_w)} kW"],
        ["demand", demand_words(view.max_demand_w, language)],
        ["basis", BILL[_basis(paper)].in_(language)],
    ]


def _basis(paper: BillPaper) -> str:
    return ("by_smart" if paper.smart else "by_reader") + ("_estimated" if estimated(paper.view.readings) else "")


def _read_on(date: dt.date, guess: bool, language: Language) -> str:
    said = short_day(date, language)
    return f"{said} ({heading('estimated', language)})" if guess else said


def _lines(lines: Iterable[LineView], language: Language) -> Iterator[dict[str, str]]:
    """Rows of the table of charges: a heading for each part where there are several, lines, and steps of lines."""
    part = None
    for line in lines:
        if line.part and line.part != part:
            first, last = line.part[0], line.part[1] - dt.timedelta(days=1)
            days = f"{short_day(first, language)} – {short_day(last, language)}"
            yield {"kind": "part", "name": days, "other": ""}
        part = line.part
        step = line.amount_paise is None
        other = "" if step else line_label(line.line_id, OTHER[language], printed="")
        yield {
            "kind": "step" if step else "line",
            "name": line_name(line, language),
            "other": "" if other == line.line_id else other,
            "sum": _sum(line, language),
            "amount": "" if line.amount_paise is None else amount(line.amount_paise),
            "clause": clause_words(line.clause, language, brief=True),
        }


def _sum(line: LineView, language: Language) -> str:
    """`150 यूनिट × 5.50 ₹`, `1,578 ₹ × 5 %`: the unit of a rate is that of its quantity, so it stands once."""
    if line.quantity_milli is None or line.rate_e4 is None:
        return ""
    quantity = f"{scaled(line.quantity_milli, places=3, least=0)} {unit(line.unit, language)}".strip()
    if line.rate_unit == "%":
        return f"{quantity} × {scaled(line.rate_e4, places=4, least=0)} % {line.times}".rstrip()
    return f"{quantity} × {rate(line.rate_e4)} {line.times}".rstrip()


def _totals(view: BillView) -> list[list[str]]:
    """Without arrears or credit, the amount of the bill is the total already."""
    found = []
    if view.arrears_paise:
        found = [
            ["bill_amount", amount(view.bill_paise)],
            ["arrears" if view.arrears_paise > 0 else "credit", amount(view.arrears_paise)],
        ]
    return [*found, ["total", amount(view.payable_paise)]]


def _payment(paper: BillPaper) -> str:
    paid, language = paper.last_payment, paper.language
    if paid is None:
        return BILL["no_payment"].in_(language)
    return f"{rupees(paid.amount_paise)} · {day(paid.day, language)} · {BILL['receipt'].in_(language)}"


def _slabs(slabs: Iterable[SlabView], language: Language) -> list[dict[str, object]]:
    found = []
    for slab in slabs:
        upper = slab.up_to_wh
        name = _said(BILL["above"], language, units=kwh(slab.from_wh)) if upper is None else ""
        room = slab.used_wh if upper is None else upper - slab.from_wh
        found.append(
            {
                "name": name or f"{kwh(slab.from_wh)}–{kwh(upper or 0)}",
                "filled": 1000 * slab.used_wh // room if room else 0,
                "used": f"{kwh(slab.used_wh)} × ₹{rate(slab.rate_e4)}",
            }
        )
    return found


def _chart(paper: BillPaper) -> dict[str, object]:
    language, (before, *shown) = paper.language, paper.months
    highest = max((each.energy_wh or 0 for each in shown), default=0)
    bars = [
        {
            "name": axis_month(each.month, language),
            "units": "" if each.energy_wh is None else _whole_units(each.energy_wh),
            "height": 1000 * (each.energy_wh or 0) // highest if highest else 0,
            "old": each.old,
        }
        for each in shown
    ]
    told = ", ".join(
        f"{month(each.month, language)} {_whole_units(each.energy_wh)}" for each in shown if each.energy_wh is not None
    )
    several = [each for each in shown if each.months > 1]
    compared = "" if before.energy_wh is None else _whole_units(before.energy_wh)
    return {
        "bars": bars,
        "alt": _said(BILL["months_alt"], language, values=told),
        "last_year": compared
        and _said(BILL["last_year"], language, month=month(before.month, language), units=compared),
        "several": " ".join(
            _said(BILL["for_months"], language, month=month(each.month, language), months=str(each.months))
            for each in several[-_TOLD_SEVERAL:]
        ),
        "old": any(each.old for each in shown),
    }


def _whole_units(energy_wh: int) -> str:
    return grouped((energy_wh + 500) // 1000)


def _upi(paper: BillPaper) -> dict[str, object] | None:
    """The code pays exactly this issue of the bill: an amount fixed, a reference of its own."""
    view, company, language = paper.view, paper.company, paper.language
    if view.payable_paise <= 0 or not company.upi_address:
        return None
    link = upi_link(
        payee_address=company.upi_address,
        payee_name=company.upi_name,
        amount_paise=view.payable_paise,
        reference=paper.reference,
        note=f"Bill {view.bill_number}",
        merchant_code=company.merchant_code,
    )
    until = day(view.due_date or view.bill_date, language)
    money = rupees(view.payable_paise)
    return {
        "qr": qr_svg(link),
        "alt": _said(BILL["upi_alt"], language, amount=money, day=until),
        "how": _said(BILL["upi_how"], language, amount=money),
        "until": _said(BILL["upi_until"], language, day=until),
        "payee": f"{company.upi_name} · {company.upi_address}",
        "reference": paper.reference,
    }


def _notes(paper: BillPaper) -> list[list[str]]:
    language, phone = paper.language, paper.company.phone
    cut = "cut_prepaid_what" if paper.prepaid else "cut_what"
    pairs = (("wrong", "wrong_what"), ("compensation", "compensation_what"), ("cut", cut))
    return [[BILL[title].in_(language), _said(BILL[text], language, phone=phone)] for title, text in pairs]


def _said(label: Label, language: Language, **values: str) -> str:
    return label.in_(language).format(**values)


def _both(language: Language) -> tuple[Language, Language]:
    return language, OTHER[language]
