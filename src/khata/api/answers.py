"""What consumers are answered. Energy in Wh, demand in W, money in paise, days as ISO dates; None is not known."""

import datetime as dt
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

Blocks = Annotated[list[int | None], Field(min_length=48, max_length=48)]


class Answer(Schema):
    """Nothing leaves that is not named."""

    model_config = ConfigDict(extra="forbid")


class Listed(Answer):
    number: str
    company: str
    company_en: str
    company_hi: str


class Connections(Answer):
    connections: list[Listed]


class ConnectionDetail(Answer):
    number: str
    old_number: str | None
    old_number_until: dt.date | None
    company: str
    category: str | None
    mode: Literal["postpaid", "prepaid"] | None
    sanctioned_load_w: int | None
    connected_on: dt.date
    balance_paise: Annotated[int, Field(description="above 0 is owed, below 0 a credit")]
    newest_day: Annotated[dt.date | None, Field(description="the last day of which anything is known")]


class UsageDay(Answer):
    day: dt.date
    total_wh: int | None
    register_wh: Annotated[int | None, Field(description="at the end of the day")]
    demand_w: int | None
    origin: Literal["actual", "estimated", "substituted", "edited"] | None
    rule: Annotated[str | None, Field(description="by which what is not actual was made")]
    blocks_wh: Annotated[Blocks | None, Field(description="the half-hours, in the order of the clock")]
    origins: Annotated[
        str, Field(description="a letter a half-hour: A actual, E estimated, S substituted, D edited, - not known")
    ]
    off: Annotated[list[int], Field(description="half-hours without supply, from 1 on")]
    received_at: dt.datetime | None


class Usage(Answer):
    number: str
    days: Annotated[list[UsageDay], Field(description="every day that was asked for and is over")]
    newest_day: Annotated[dt.date | None, Field(description="the last day of which anything is known")]
    next: str | None


class BillListed(Answer):
    bill: int
    number: str
    kind: str
    cycle: Annotated[dt.date, Field(description="first day of the month of the bill")]
    bill_date: dt.date
    due_date: dt.date
    period_start: dt.date
    period_end: Annotated[dt.date, Field(description="the first day that is not billed any more")]
    energy_wh: int
    payable_paise: Annotated[int, Field(description="of this bill alone")]
    arrears_paise: Annotated[int, Field(description="from before; below 0 paid ahead")]
    draft: bool


class OldBillListed(Answer):
    month: dt.date
    energy_wh: int
    amount_paise: int


class Bills(Answer):
    bills: list[BillListed]
    old_bills: Annotated[list[OldBillListed], Field(description="of the company's former system, on the last page")]
    next: str | None


class Line(Answer):
    line: str
    printed: str
    amount_paise: Annotated[int | None, Field(description="None for a step of the line above it")]
    quantity_milli: Annotated[int | None, Field(description="in thousandths of its unit")]
    unit: str
    rate_e4: Annotated[int | None, Field(description="in ten-thousandths of its unit")]
    rate_unit: str
    clause: Annotated[str, Field(description="of the tariff order")]
    times: str
    days_from: dt.date | None
    days_until: dt.date | None


class Register(Answer):
    meter: str
    previous_wh: int
    previous_day: dt.date
    previous_estimated: Annotated[bool, Field(description="an estimate: no real reading of that day had come")]
    present_wh: int
    present_day: dt.date
    present_estimated: bool


class BillDetail(BillListed):
    category: str
    sanctioned_load_w: int
    max_demand_w: Annotated[int | None, Field(description="None where none was recorded")]
    registers: list[Register]
    lines: list[Line]
    orders: list[str]


class Factor(Answer):
    code: str
    paise: int
    sentence: str


class Change(Answer):
    bill: int
    against: Annotated[int | None, Field(description="None where it is one of the former system")]
    against_month: dt.date
    paise: int
    before_paise: int
    difference_paise: int
    factors: Annotated[list[Factor], Field(description="their paise add up to the difference")]


class Range(Answer):
    low: int
    likely: int
    high: int


class Forecast(Answer):
    month: dt.date
    known_wh: int
    known_days: int
    wh: Annotated[Range | None, Field(description="of the whole month; None where too little is known to say")]
    paise: Annotated[Range | None, Field(description="what the month's bill would come to")]
