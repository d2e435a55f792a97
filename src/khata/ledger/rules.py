"""The account heads with which a company's books are opened. Charge lines post to the head of their own name."""

from dataclasses import dataclass

CONSUMERS = "consumers"
LPSC = "lpsc"
DEPOSIT = "deposit"
PREPAID = "prepaid"
OPENING = "opening"
SUSPENSE = "suspense"
CASH = "cash"
SETTLEMENT = "settlement"

# What a connection owes is the sum over these. A deposit is not among them: it is held, not paid ahead.
OWED = (CONSUMERS, LPSC, PREPAID)

# Kinds of entries by which a connection paid: at once, or later out of suspense.
RECEIPT = "receipt"
CLEARED = "suspense-cleared"
PAYMENTS = (RECEIPT, CLEARED)
# By which balances of a former system came over, or went back to it.
OPENED = ("opening", "carried over", "handed back")

# code: (English, Hindi, has subjects)
HEADS = {
    CONSUMERS: ("Receivable from consumers", "उपभोक्ताओं से प्राप्य", True),
    LPSC: ("Late payment surcharge receivable", "प्राप्य विलम्ब भुगतान अधिभार", True),
    PREPAID: ("Prepaid balances of consumers", "उपभोक्ताओं का प्रीपेड बैलेंस", True),
    DEPOSIT: ("Security deposits of consumers", "उपभोक्ताओं की जमानत राशि", True),
    SUSPENSE: ("Suspense: received, connection not yet found", "उचंत: मिला पैसा, जिसका कनेक्शन अभी तय नहीं", False),
    OPENING: ("Opening balances brought over", "पुराने सिस्टम से आए शेष", False),
    CASH: ("Cash at counters", "काउंटर पर नकद", False),
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
