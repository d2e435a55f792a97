"""The words on a bill, Hindi first, as they are said at a counter in Kanpur."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["hi", "en"]
LANGUAGES: tuple[Language, ...] = ("hi", "en")


@dataclass(frozen=True)
class Label:
    hi: str
    en: str

    def in_(self, language: Language) -> str:
        return self.hi if language == "hi" else self.en


LINES: dict[str, Label] = {
    "fixed": Label("नियत प्रभार", "Fixed charge"),
    "demand": Label("मांग प्रभार", "Demand charge"),
    "excess": Label("स्वीकृत भार से अधिक मांग", "Demand above sanctioned load"),
    "energy": Label("ऊर्जा प्रभार", "Energy charge"),
    "subsidy": Label("राज्य सरकार की सब्सिडी", "State government subsidy"),
    "minimum": Label("न्यूनतम प्रभार की पूर्ति", "Top-up to minimum charge"),
    "fppas": Label("ईंधन एवं विद्युत क्रय समायोजन अधिभार (FPPAS)", "Fuel and power purchase surcharge (FPPAS)"),
    "duty": Label("विद्युत कर", "Electricity duty"),
    "rebate": Label("प्रीपेड छूट", "Prepaid rebate"),
}

HEADINGS: dict[str, Label] = {
    "bill": Label("बिजली बिल", "Electricity bill"),
    "draft": Label(
        "ध्यान दें: इस बिल की कोई दर या नियम अभी आयोग के आदेश से मिलाया जाना बाकी है",
        "Please note: a rate or rule of this bill is still to be confirmed from the order",
    ),
    "account_number": Label("अकाउंट नंबर", "Account number"),
    "old_number": Label("पुराना नंबर", "Old number"),
    "old_number_until": Label("{day} तक मान्य", "valid until {day}"),
    "name": Label("उपभोक्ता का नाम", "Name of consumer"),
    "discom": Label("वितरण कंपनी", "Distribution company"),
    "division": Label("खंड", "Division"),
    "category": Label("विधा", "Category"),
    "sanctioned_load": Label("स्वीकृत भार", "Sanctioned load"),
    "max_demand": Label("अधिकतम मांग", "Maximum demand"),
    "period": Label("बिल की अवधि", "Billing period"),
    "bill_number": Label("बिल संख्या", "Bill number"),
    "bill_date": Label("बिल तिथि", "Bill date"),
    "due_date": Label("देय तिथि", "Due date"),
    "readings": Label("रीडिंग", "Readings"),
    "meter_number": Label("मीटर संख्या", "Meter number"),
    "previous_reading": Label("पिछली रीडिंग", "Previous reading"),
    "present_reading": Label("वर्तमान रीडिंग", "Present reading"),
    "multiplier": Label("गुणांक", "Multiplier"),
    "unknown": Label("पता नहीं", "not known"),
    "estimated": Label("अनुमानित", "estimated"),
    "estimated_why": Label(
        "अनुमानित: उस दिन मीटर की असली रीडिंग नहीं आई थी, इसलिए यहाँ अनुमान से निकाली गई रीडिंग है; फ़र्क हुआ तो अगले बिल में "
        "अपने-आप बराबर हो जाएगा।",
        "Estimated: no real reading of that day had come, so this reading is an estimate; any difference evens itself "
        "out in the next bill.",
    ),
    "units": Label("यूनिट", "units"),
    "consumption": Label("उपभोग (यूनिट)", "Consumption (units)"),
    "charges": Label("बिल का ब्यौरा", "Charges"),
    "item": Label("मद", "Item"),
    "quantity": Label("मात्रा", "Quantity"),
    "times_months": Label("× {months} माह", "× {months} months"),
    "times_days": Label("× {days}/{of} दिन", "× {days}/{of} days"),
    "rate": Label("दर", "Rate"),
    "amount": Label("राशि (₹)", "Amount (₹)"),
    "clause": Label("आदेश संदर्भ", "Clause"),
    "slabs": Label("स्लैब में आपकी खपत", "Your use in each slab"),
    "slab_above": Label("{units} से ऊपर", "above {units}"),
    "sources": Label("दरें और नियम जहाँ से लिए गए", "Where rates and rules come from"),
    "bill_amount": Label("इस बिल की राशि", "Amount of this bill"),
    "arrears": Label("पिछला बकाया", "Arrears"),
    "credit": Label("पहले से जमा", "Credit"),
    "payable": Label("कुल देय राशि", "Total payable"),
}

UNITS: dict[str, Label] = {
    "kWh": Label("यूनिट", "kWh"),
    "kVAh": Label("kVAh", "kVAh"),
    "kW": Label("kW", "kW"),
    "kVA": Label("kVA", "kVA"),
    "₹": Label("₹", "₹"),
}


def line_label(line_id: str, language: Language, *, printed: str = "") -> str:
    """The name of a charge line; of a line not known here the order's own printed words, else its id."""
    label = LINES.get(line_id)
    return label.in_(language) if label else printed or line_id


# How orders print a slab, and how that is said in Hindi. What an order words otherwise stays as the order has it.
_SLABS_IN_HINDI = (
    (re.compile(r"^Up to (\d+) units\b"), r"\1 यूनिट तक"),
    (re.compile(r"^(\d+) to (\d+) units\b"), r"\1 से \2 यूनिट"),
    (re.compile(r"^Above (\d+) units\b"), r"\1 यूनिट से ऊपर"),
    (re.compile(r"^All units\b"), "सभी यूनिट"),
)


def step_label(printed: str, language: Language) -> str:
    """The name of one slab of a line, from the order's printed words."""
    if language == "hi":
        for pattern, words in _SLABS_IN_HINDI:
            if pattern.search(printed):
                return pattern.sub(words, printed)
    return printed


def heading(name: str, language: Language, **values: str) -> str:
    return HEADINGS[name].in_(language).format(**values)


def unit(symbol: str, language: Language) -> str:
    label = UNITS.get(symbol)
    return label.in_(language) if label else symbol
