"""The account heads with which a company's books are opened. Charge lines post to the head of their own name."""

from dataclasses import dataclass

CONSUMERS = "consumers"
CASH = "cash"
SETTLEMENT = "settlement"

# code: (English, Hindi, has subjects)
HEADS = {
    CONSUMERS: ("Receivable from consumers", "उपभोक्ताओं से प्राप्य", True),
    CASH: ("Cash at counters", "काउन्टर पर नकद", False),
    "fixed": ("Fixed charge", "नियत प्रभार", False),
    "excess": ("Excess demand", "अधिक मांग शुल्क", False),
    "energy": ("Energy charge", "ऊर्जा प्रभार", False),
    "subsidy": ("Subsidy receivable from the State", "राज्य सरकार से प्राप्य सब्सिडी", False),
    "minimum": ("Minimum charge, top-up", "न्यूनतम प्रभार की पूर्ति", False),
    "fppas": ("FPPAS", "ईंधन एवं विद्युत क्रय समायोजन अधिभार", False),
    "duty": ("Electricity duty payable to the State", "राज्य को देय विद्युत कर", False),
    "rebate": ("Prepaid rebate", "प्रीपेड छूट", False),
}


def settlement(other: str) -> str:
    """The head on which a company keeps what it and another, of this code, owe each other: above 0 the other owes.

    A head for each other company, not a subject: subjects are connections.
    """
    return f"{SETTLEMENT}:{other}"


@dataclass(frozen=True)
class OnHead:
    """One posting of one entry: subject 0 where the head has none; paise, debit above 0."""

    head: int
    subject: int
    amount_paise: int
