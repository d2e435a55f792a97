"""Amounts in words, as they stand under the figure of a bill or receipt: lakh and crore, in Hindi and English."""

from khata.display.labels import Language


def _listed(text: str) -> list[str]:
    return text.split()


_HINDI = _listed(
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ "
    "दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस "
    "बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस "
    "तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस "
    "चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास "
    "पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ "
    "साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर "
    "सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी "
    "अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सतासी अठासी नवासी "
    "नब्बे इक्यानवे बानवे तिरानवे चौरानवे पंचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे"
)
_UNITS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _listed("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
_ENGLISH = _UNITS + [
    _TENS[tens] + (f"-{_UNITS[units]}" if units else "") for tens in range(2, 10) for units in range(10)
]
_BELOW_HUNDRED: dict[Language, list[str]] = {"hi": _HINDI, "en": _ENGLISH}
_GROUPS = ((10_000_000, "करोड़", "crore"), (100_000, "लाख", "lakh"), (1_000, "हज़ार", "thousand"), (100, "सौ", "hundred"))


def rupees_in_words(paise: int, language: Language) -> str:
    """`दो हज़ार तीन सौ अड़तालीस रुपये मात्र`; `Rupees two thousand three hundred forty-eight only`. Paise if there are any.

    Raises ValueError for an amount below 0: a credit is told as what it is, not as a negative bill.
    """
    if paise < 0:
        raise ValueError(f"{paise} paise: only amounts from 0 on have words")
    rupees, rest = divmod(paise, 100)
    if language == "hi":
        rupee = "रुपया" if rupees == 1 else "रुपये"
        return f"{number_in_words(rupees, 'hi')} {rupee}{f' {_HINDI[rest]} पैसे' if rest else ''} मात्र"
    rupee = "Rupee" if rupees == 1 else "Rupees"
    return f"{rupee} {number_in_words(rupees, 'en')}{f' and {_ENGLISH[rest]} paise' if rest else ''} only"


def number_in_words(number: int, language: Language) -> str:
    """A whole number from 0 on; above 99 crore the crores are counted as a number of their own."""
    small, found = _BELOW_HUNDRED[language], []
    for size, hindi, english in _GROUPS:
        count, number = divmod(number, size)
        if count:
            found += [number_in_words(count, language), hindi if language == "hi" else english]
    if number or not found:
        found.append(small[number])
    return " ".join(found)
