"""How fast bills become PDF pages, in one process: alone as on request, and twenty in a file as for print.

Beside them, measured in the same run, what nobody can be faster than: the same font on a page that is all but empty.
"""

import datetime as dt
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

PAGES, PER_FILE = 100, 20
EMPTY = (
    '#set text(font: "Noto Sans Devanagari")\n#for each in json(bytes(sys.inputs.data)).bills [#each #pagebreak()]\n'
)
Row = tuple[str, float, str, float | None, bool]


def rows() -> Iterator[Row]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    from khata.billing.documents import bill_pdf, bills_pdf
    from khata.display.typeset import pdf

    papers = [_paper(number) for number in range(PAGES)]
    files = [papers[start : start + PER_FILE] for start in range(0, PAGES, PER_FILE)]
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "empty.typ"
        template.write_text(EMPTY, encoding="utf-8")

        def empty(number: int) -> bytes:
            data = {"bills": [f"{number} {each}" for each in range(PER_FILE)]}
            return pdf(template=template, data=data, made=dt.date(2024, 6, 8))

        bill_pdf(_paper(-1))
        alone = _seconds([lambda paper=paper: bill_pdf(paper) for paper in papers[:30]])
        together = _seconds([lambda file=file: bills_pdf(file) for file in files]) / PER_FILE
        floor = _seconds([lambda number=number: empty(number) for number in range(len(files))]) / PER_FILE
    yield "a bill as PDF on request, without its reads", alone * 1000, "ms", 100.0, alone <= 0.1
    yield "PDF pages per second per core", 1 / together, "/s", None, True
    yield "    a page of a bill / a page all but empty", together / floor, "x", None, True


def _seconds(work: list[Callable[[], bytes]]) -> float:
    """The median time of the pieces, in processor time of all its threads: other work on the machine does not count."""
    spent = []
    for piece in work:
        began = time.process_time()
        piece()
        spent.append(time.process_time() - began)
    return statistics.median(spent)


def _paper(number: int):  # type: ignore[no-untyped-def]
    """An ordinary bill, each a little different, so that nothing is remembered from the one before."""
    from khata.billing.documents import BillPaper, LastPayment
    from khata.billing.queries import MonthUsed
    from khata.display.bill_text import BillView, LineView, ReadingView, SlabView
    from khata.display.paper import CompanyPaper

    first, after = dt.date(2024, 5, 1), dt.date(2024, 6, 1)
    line = LineView("fixed", 165_00, 1_500, "kW", 1_100_000, "₹/kW", "reading-1")
    step = replace(line, line_id="subsidy", amount_paise=None, printed="Up to 150 units")
    lines = (line, replace(line, line_id="energy"), replace(line, line_id="subsidy", amount_paise=-number), step, step)
    view = BillView(
        account_number=f"{4_628_800_139 + number}",
        name=f"सुनीता देवी {number}",
        mask_name=False,
        discom="कंपनी",
        division="गुमटी",
        category="LMV-1 urban",
        sanctioned_load_w=2_000,
        max_demand_w=1_000 + number,
        energy_wh=248_000 + number,
        period_start=first,
        period_end=after,
        bill_number=f"2406{number:08d}",
        bill_date=dt.date(2024, 6, 8),
        due_date=dt.date(2024, 6, 23),
        lines=(*lines, replace(line, line_id="fppas"), replace(line, line_id="duty")),
        bill_paise=1_656_90 + number,
        arrears_paise=0,
        payable_paise=1_656_90 + number,
        readings=(ReadingView(f"S-{number}", 1_000_000, first, 1_248_000, after, 1, 248_000),),
        slabs=tuple(SlabView(low, low + 150_000, 100_000 + number, 55_000) for low in (0, 150_000, 300_000)),
        old_number=f"{1_234_567 + number}",
        old_number_last_day=dt.date(2024, 9, 13),
        orders=("Tariff order",),
    )
    company = CompanyPaper("कंपनी", "Company", "1912", "", "कानपुर", "Kanpur", "a.sample@examplebank", "Company", "4900")
    starts = [dt.date(2023 + at // 12, at % 12 + 1, 1) for at in range(13)]
    months = tuple(MonthUsed(start, 200_000 + at * 999, 1, old=True) for at, start in enumerate(starts))
    paid = LastPayment(first, 100_00 + number)
    address = f"117/अ-{number}, किदवई नगर, कानपुर"
    return BillPaper(
        view, "hi", company, after, address, "******3210", False, True, months, paid, f"2406{number + 1:08d}R0"
    )
