"""Why a bill changed, a plain sentence for each factor: `इस बार 31 दिन का बिल है, पिछली बार 28 दिन का था: ₹84 ज़्यादा`."""

from collections.abc import Mapping
from typing import TypeAlias

from khata.display.labels import Label, Language
from khata.display.money import RUPEE, kw, kwh, rate, scaled

Facts: TypeAlias = Mapping[str, int | str | None]

TITLES: dict[str, Label] = {
    "days": Label("बिल के दिन", "Days of the bill"),
    "units": Label("यूनिट", "Units"),
    "slabs": Label("स्लैब", "Slabs"),
    "rates": Label("दर और सरचार्ज", "Rates and surcharge"),
    "load": Label("भार या मांग", "Load or demand"),
    "category": Label("कनेक्शन की श्रेणी", "Category"),
    "mode": Label("प्रीपेड छूट", "Prepaid rebate"),
    "together": Label("कई बदलाव साथ", "Several changes at once"),
    "arrears": Label("पिछला बकाया", "From before"),
    "late": Label("देर का सरचार्ज", "Late payment surcharge"),
    "corrections": Label("बिल में सुधार", "Corrections"),
    "old system": Label("पुराने सिस्टम का बिल", "Bill of the former system"),
}

_THEN = {False: Label("पिछली बार", "last time"), True: Label("पिछले साल", "last year")}
_MORE, _LESS, _SAME = (
    Label("{paise} ज़्यादा", "{paise} more"),
    Label("{paise} कम", "{paise} less"),
    Label("कोई फ़र्क नहीं", "no difference"),
)

_SENTENCES: dict[str, Label] = {
    "days": Label(
        "इस बार {days} दिन का बिल है, {then} {days_before} दिन का था",
        "This bill is for {days} days, {then} it was {days_before}",
    ),
    "units": Label(
        "रोज़ औसतन {a_day} यूनिट लगीं, {then} {a_day_before}", "You used {a_day} units a day, {then} {a_day_before}"
    ),
    "units_whole": Label(
        "इस बार {units} यूनिट लगीं, {then} {units_before}", "You used {units} units, {then} {units_before}"
    ),
    "slabs_more": Label("यूनिट महँगी स्लैब तक पहुँचीं", "Your units reached dearer slabs"),
    "slabs_less": Label("महँगी स्लैब की यूनिट कम रहीं", "Fewer of your units were in the dear slabs"),
    "average": Label(
        ": एक यूनिट औसतन {average} की पड़ी, {then} {average_before} की (सब्सिडी घटाकर, सरचार्ज और विद्युत कर मिलाकर; "
        "नियत प्रभार छोड़कर)",
        ": a unit cost {average} on average, {then} {average_before} (subsidy taken off, surcharge and duty included, "
        "fixed charge not)",
    ),
    "order": Label("बिजली की नई दरें लागू हुईं", "New rates came into force"),
    "fppas": Label(
        "FPPAS सरचार्ज {fppas}% है, {then} {fppas_before}% था", "The FPPAS surcharge is {fppas}%, {then} {fppas_before}%"
    ),
    "rates": Label("दरों या मौसम के नियम का असर", "Effect of rates, or of the season's rule"),
    "load": Label(
        "स्वीकृत भार {load} kW है, {then} {load_before} kW था", "The sanctioned load is {load} kW, {then} {load_before} kW"
    ),
    "demand": Label(
        "सबसे ज़्यादा मांग {demand} kW रही, {then} {demand_before} kW",
        "The highest demand was {demand} kW, {then} {demand_before} kW",
    ),
    "demand_now": Label("सबसे ज़्यादा मांग {demand} kW रही", "The highest demand was {demand} kW"),
    "demand_then": Label(
        "{then} सबसे ज़्यादा मांग {demand_before} kW थी, इस बार का पता नहीं",
        "The highest demand was {demand_before} kW {then}; this time none is known",
    ),
    "category": Label(
        "कनेक्शन अब {category} ({area}) में है, {then} {category_before} ({area_before}) में था",
        "The connection is now {category} ({area}), {then} {category_before} ({area_before})",
    ),
    "prepaid": Label(
        "अब मीटर प्रीपेड है, उसकी छूट और महीने का हिसाब", "The connection is prepaid now: its rebate and its months"
    ),
    "postpaid": Label(
        "अब मीटर पोस्टपेड है, प्रीपेड की छूट नहीं रही", "The connection is post-paid now, without the prepaid rebate"
    ),
    "together": Label(
        "दर, भार और श्रेणी साथ-साथ बदलीं; इनका असर अलग-अलग नहीं बताया जा सकता",
        "Rates, load and category changed together; the orders do not price them one by one",
    ),
    "arrears": Label(
        "पिछला बकाया {left} जुड़ा है, {then} {left_before} था", "{left} was left unpaid from before, {then} {left_before}"
    ),
    "ahead": Label(
        "पहले से जमा {left} काटा गया है, {then} {left_before}", "{left} paid ahead was taken off, {then} {left_before}"
    ),
    "from_before": Label(
        "पहले का हिसाब {left}, {then} {left_before}", "Carried from before {left}, {then} {left_before}"
    ),
    "arrears_alone": Label("पहले का हिसाब {left}", "Carried from before {left}"),
    "late": Label("देर से जमा करने का सरचार्ज", "Surcharge for late payment"),
    "corrections": Label("बीच में बिल में किया गया सुधार", "Corrections entered in between"),
    "old system": Label(
        "पुराने सिस्टम ने उस बिल का हिसाब साथ नहीं दिया; बाकी फ़र्क",
        "The former system left no account of its bill; the rest of the difference",
    ),
}
_AREAS = {"urban": Label("शहरी", "urban"), "rural": Label("ग्रामीण", "rural")}


def change_sentence(code: str, paise: int, facts: Facts, language: Language, *, last_year: bool) -> str:
    """What changed and what it made: without a full stop, to stand in a row."""
    words = _words(code, paise, facts, language)
    told = (
        "".join(_SENTENCES[key].in_(language) for key in words)
        if words[-1] == "average"
        else "; ".join(_SENTENCES[key].in_(language) for key in words)
    )
    then = _THEN[last_year].in_(language)
    return f"{told.format(then=then, **_numbers(facts, language))}: {more_or_less(paise, language)}"


def more_or_less(paise: int, language: Language) -> str:
    """`₹84 ज़्यादा`, `₹12.50 less`."""
    label = _MORE if paise > 0 else _LESS if paise < 0 else _SAME
    return label.in_(language).format(paise=_rupees(abs(paise)))


def _words(code: str, paise: int, facts: Facts, language: Language) -> list[str]:
    """Which sentences tell of a factor."""
    if code == "units":
        return ["units" if "wh_a_day" in facts else "units_whole"]
    if code == "slabs":
        now, then = _number(facts, "average_e4"), _number(facts, "average_before_e4")
        return [
            "slabs_more" if paise > 0 else "slabs_less",
            *(["average"] if now != then and (now > then) == (paise > 0) else []),
        ]
    if code == "rates":
        other = facts.get("order") != facts.get("order_before")
        surcharge = facts.get("fppas_e4") != facts.get("fppas_before_e4")
        return [*(["order"] if other else []), *(["fppas"] if surcharge else [])] or ["rates"]
    if code == "load":
        if facts.get("load_w") != facts.get("load_before_w"):
            return ["load"]
        now, then = facts.get("demand_w") is not None, facts.get("demand_before_w") is not None
        return ["demand" if now == then else "demand_now" if now else "demand_then"]
    if code == "mode":
        return [str(facts["mode"])]
    if code == "arrears":
        left, before = facts.get("paise"), facts.get("paise_before")
        if before is None:
            return ["arrears_alone"]
        low, high = sorted((_number(facts, "paise"), _number(facts, "paise_before")))
        return ["arrears" if low >= 0 else "ahead" if high <= 0 else "from_before"] if left is not None else ["arrears"]
    return [code]


def _numbers(facts: Facts, language: Language) -> dict[str, str]:
    """The blanks of the sentences, each as people read it."""
    signed = (
        min(_number(facts, "paise"), _number(facts, "paise_before"))
        < 0
        < max(_number(facts, "paise"), _number(facts, "paise_before"))
    )
    made: dict[str, str] = {}
    for end in ("", "_before"):
        before_unit = "_before" if end else ""
        area = str(facts.get(f"area{end}") or "")
        made |= {
            f"days{end}": str(facts.get(f"days{end}")),
            f"units{end}": kwh(_number(facts, f"wh{end}")),
            f"a_day{end}": scaled((_number(facts, f"wh_a_day{end}") + 5) // 10, places=2, least=0),
            f"average{end}": f"{RUPEE}{rate((_number(facts, f'average{end}_e4') + 50) // 100 * 100)}",
            f"fppas{end}": scaled(_number(facts, f"fppas{end}_e4"), places=2, least=0),
            f"load{end}": kw(_number(facts, f"load{before_unit}_w")),
            f"demand{end}": kw(_number(facts, f"demand{before_unit}_w")),
            f"category{end}": str(facts.get(f"category{end}")),
            f"area{end}": _AREAS[area].in_(language) if area in _AREAS else area,
            f"left{end}": _rupees(_number(facts, f"paise{end}"), signed=signed),
        }
    return made


def _number(facts: Facts, name: str) -> int:
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def _rupees(paise: int, *, signed: bool = False) -> str:
    """Without idle zeros: `₹84`, `₹12.50`."""
    whole = paise % 100 == 0
    return f"{'-' if signed and paise < 0 else ''}{RUPEE}{scaled(abs(paise), places=2, least=0 if whole else 2)}"
