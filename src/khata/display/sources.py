"""Where a bill's rates and rules come from, as a consumer reads it: tariff orders in Hindi, clauses in plain words.

An order is filed as it was printed, with what it leaves open as numbered readings, in English. What stands here says
the same in Hindi, beside it and not in it: an order's file is pinned by its hash. What is not known here stays.
"""

import datetime as dt
import re
from collections.abc import Callable

from khata.display.dates import day, month
from khata.display.labels import Label, Language

_POINT = re.compile(r"(?:(\S+) )?reading-(\d+)")
_FPPAS = re.compile(r"(\d{4})-(\d{2})--fppas")
_ORDER = re.compile(r"Tariff order for FY (\S+), dated (\d{1,2} \w+ \d{4})")
_POINT_OF_ORDER = Label("दर आदेश, बिंदु {number}", "Tariff order, point {number}")
_POINT_OF_FPPAS = Label("{month} का FPPAS, बिंदु {number}", "FPPAS of {month}, point {number}")
_OF_SCHEDULES = (
    (re.compile(r"\burban\b"), "शहरी"),
    (re.compile(r"\brural\b"), "ग्रामीण"),
    (re.compile(r"\blifeline\b"), "लाइफ़लाइन"),
    (re.compile(r"\bup to ([\d.]+ kW)\b"), r"\1 तक"),
    (re.compile(r"\babove ([\d.]+ kW)\b"), r"\1 से ऊपर"),
)
_POINT_ALONE = Label("बिंदु", "point")
_POINT_OF = Label("{part}, बिंदु {number}", "{part}, point {number}")


def clause_words(clause: str, language: Language, *, brief: bool = False) -> str:
    """`reading-1` as `दर आदेश, बिंदु 1`; a clause that an order itself numbers stays as it is printed there.

    `brief`: for a narrow column, beside which the orders are named.
    """
    found = _POINT.fullmatch(clause)
    if found is None:
        return clause
    part, number = found[1], found[2]
    if brief:
        of_fppas = "FPPAS, " if part and _FPPAS.fullmatch(part) else ""
        return f"{of_fppas}{_POINT_ALONE.in_(language)} {number}"
    if part is None:
        return _POINT_OF_ORDER.in_(language).format(number=number)
    fppas = _FPPAS.fullmatch(part)
    if fppas is None:
        return _POINT_OF.in_(language).format(part=part, number=number)
    named = month(dt.date(int(fppas[1]), int(fppas[2]), 1), language)
    return _POINT_OF_FPPAS.in_(language).format(month=named, number=number)


def category_words(schedule: str, language: Language) -> str:
    """The name of a rate schedule: `LMV-1 urban` as `LMV-1 शहरी`."""
    if language == "en":
        return schedule
    for pattern, words in _OF_SCHEDULES:
        schedule = pattern.sub(words, schedule)
    return schedule


def order_words(title: str, language: Language) -> str:
    """The title of an order."""
    found = _ORDER.fullmatch(title)
    if language == "en" or found is None:
        return title
    dated = dt.datetime.strptime(found[2], "%d %B %Y").replace(tzinfo=dt.UTC).date()
    return f"वित्त वर्ष {found[1]} का बिजली दर आदेश, {day(dated, language)}"


def reading_words(text: str, language: Language) -> str:
    """A question or an answer of a reading; what is not known in Hindi as it is filed."""
    if language == "en":
        return text
    if text in _IN_HINDI:
        return _IN_HINDI[text]
    for pattern, said in _PATTERNS:
        found = pattern.fullmatch(text)
        if found:
            return said(found)
    return text


def _of_month(said: str) -> Callable[[re.Match[str]], str]:
    return lambda found: said.format(month(dt.date(int(found[1]), int(found[2]), 1), "hi"))


def _in_words(said: str) -> Callable[[re.Match[str]], str]:
    return lambda found: said.format(*found.groups())


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"Which FPPAS is charged on bills dated in (\d{4})-(\d{2})\?"),
        _of_month("{} में बने बिलों पर कितना FPPAS लगता है?"),
    ),
    (
        re.compile(r"(-?[\d.]+ %) of fixed, excess and net energy charge and minimum top-up\."),
        _in_words("नियत प्रभार, अधिक मांग, सब्सिडी घटाकर बचे ऊर्जा प्रभार और न्यूनतम प्रभार की पूर्ति, इन सबका {}।"),
    ),
)

_IN_HINDI = {
    "Which rates does this order set for LMV-1 urban and LMV-2?": (
        "इस आदेश में शहरी घरेलू (LMV-1) और दुकान-दफ़्तर (LMV-2) की दरें क्या हैं?"
    ),
    "The rates in the lines that cite this reading.": ("वही दरें, जो बिल की उन लाइनों में छपी हैं जिनमें यह बिंदु लिखा है।"),
    "In which order are the lines computed, on what, and how rounded?": (
        "बिल की लाइनें किस क्रम में, किस रकम पर और कैसे पूरे पैसे में निकाली जाती हैं?"
    ),
    "Fixed, excess demand (2 times the fixed rate in LMV-1, 3 times in LMV-2), energy at the full rate, State "
    "subsidy off, top-up to the minimum; FPPAS on their sum; duty (5 % domestic, 7.5 % others) on that sum and "
    "FPPAS. Each printed line to 0.01 rupee, half up; the bill is not rounded to a rupee.": (
        "पहले नियत प्रभार, फिर स्वीकृत भार से अधिक मांग (LMV-1 में नियत दर की 2 गुनी, LMV-2 में 3 गुनी), फिर पूरी "
        "दर पर ऊर्जा प्रभार, उसमें से सरकारी सब्सिडी घटती है, और ज़रूरत हो तो न्यूनतम प्रभार की पूर्ति जुड़ती है। "
        "इन सबके जोड़ पर FPPAS, और उस जोड़ व FPPAS पर विद्युत कर (घरेलू 5 %, बाकी 7.5 %)। हर लाइन पूरे पैसे में, "
        "आधा पैसा ऊपर; बिल पूरे रुपये में नहीं बदला जाता।"
    ),
    "How many months does a post-paid bill count, if it is not one month?": (
        "पोस्टपेड बिल एक महीने का न हो, तो कितने महीने गिने जाते हैं?"
    ),
    "Months = days ÷ 30, rounded half up, at least 1; fixed charge, slab widths and minimum are multiplied by "
    "it. A bill of up to 44 days is one month and is not prorated.": (
        "महीने = दिन ÷ 30, पूरे अंक में (आधा हो तो ऊपर), कम से कम 1; नियत प्रभार, स्लैब और न्यूनतम प्रभार इससे "
        "गुणा होते हैं। 44 दिन तक का बिल एक महीने का माना जाता है।"
    ),
    "What if an order or the terms change inside a bill period?": ("बिल की अवधि के बीच में आदेश या कनेक्शन की शर्तें बदलें तो?"),
    "The bill is split at that day; each part takes the fixed charge and the slab widths by its days, widths "
    "rounded to the watt-hour, and the energy as metered, or by days where it was not.": (
        "बिल उस दिन पर दो हिस्सों में बँटता है। हर हिस्से में नियत प्रभार और स्लैब उसके दिनों के हिसाब से लगते "
        "हैं, और यूनिट मीटर के हिसाब से; जहाँ मीटर से पता न हो, वहाँ दिनों के हिसाब से।"
    ),
    "From 10 kW the order bills kVA and kVAh with rates times 0.90. What if only kW and kWh are known?": (
        "10 kW से ऊपर आदेश kVA और kVAh पर, 0.90 गुना दर से बिल बनाता है। सिर्फ़ kW और kWh पता हों तो?"
    ),
    "They are taken at a power factor of 0.90, which gives the same money as kW and kWh at the plain rates.": (
        "पावर फ़ैक्टर 0.90 माना जाता है; रकम उतनी ही आती है जितनी सीधी दर पर kW और kWh से।"
    ),
    "Is a fraction of a kW of load raised to the next whole kW when rating?": (
        "भार पूरे kW में न हो, तो क्या बिल में अगला पूरा kW माना जाता है?"
    ),
    "No: it is raised when the load is sanctioned; a load that is still a fraction is rated as it stands.": (
        "नहीं। भार स्वीकृत करते समय पूरा किया जाता है; जो फिर भी पूरे kW में नहीं है, उस पर जैसा है वैसा ही बिल बनता है।"
    ),
    "Which minimum applies to a period in both seasons?": ("अवधि दोनों मौसमों में पड़े, तो कौन-सा न्यूनतम प्रभार लगता है?"),
    "Each season's by the days of the period that lie in it.": ("हर मौसम का, उसमें पड़ने वाले दिनों के हिसाब से।"),
    "How is a prepaid month computed?": ("प्रीपेड महीने का हिसाब कैसे होता है?"),
    "Fixed charge by days ÷ days of the calendar month; slabs of the calendar month; rebate 2 % of everything "
    "before duty.": ("नियत प्रभार महीने के दिनों के हिसाब से; स्लैब कैलेंडर के महीने की; विद्युत कर से पहले की पूरी रकम पर 2 % छूट।"),
    "Which full rates and State subsidies make the rural net rates 3.35, 3.85, 5.00 and 5.50?": (
        "गाँव की 3.35, 3.85, 5.00 और 5.50 की दरें किस पूरी दर और किस सब्सिडी से बनती हैं?"
    ),
    "Full 6.65 up to 100 units and 6.85 above; subsidy 3.30, 3.00, 1.85, 1.35.": (
        "पूरी दर 100 यूनिट तक 6.65, उससे ऊपर 6.85; सब्सिडी 3.30, 3.00, 1.85, 1.35।"
    ),
    "Which State subsidies apply from July 2026? And which full rates lie behind the rural net rates?": (
        "जुलाई 2026 से सरकार की कौन-सी सब्सिडी है? और गाँव की दरें किस पूरी दर से बनती हैं?"
    ),
    "Lifeline 3.75; rural up to 100 units 3.70, 101 to 150 units 3.50; the others as before. Full rates as before.": (
        "लाइफ़लाइन 3.75; गाँव में 100 यूनिट तक 3.70, 101 से 150 यूनिट 3.50; बाकी पहले जैसी। पूरी दरें पहले जैसी।"
    ),
    "From which day is it billed?": ("यह किस दिन से लागू है?"),
    "From 1 August 2022: seven days after newspapers printed it, to the next first of a month. No bill of this "
    "repository lies near that day.": ("1 अगस्त 2022 से: अख़बारों में छपने के सात दिन बाद जो महीना शुरू हुआ, उसकी पहली तारीख़ से।"),
    "From 24 October 2024; until 23 October the schedule before it.": ("24 अक्टूबर 2024 से; 23 अक्टूबर तक पिछला आदेश।"),
    "From the day of the order, 22 November 2025. As no rate changed, the day alters no bill.": (
        "आदेश के दिन, 22 नवंबर 2025 से। कोई दर नहीं बदली, इसलिए इस दिन से किसी बिल पर फ़र्क नहीं पड़ता।"
    ),
    "From the day of the order, 2 July 2026.": ("आदेश के दिन, 2 जुलाई 2026 से।"),
    "Which FPPAS belongs to a bill?": ("किसी बिल पर कौन-सा FPPAS लगता है?"),
    "The figure published for the month of the bill date; before April 2025 none was charged. A month without "
    "a published figure is not priced.": (
        "जिस महीने में बिल बना, उस महीने के लिए छपा हुआ; अप्रैल 2025 से पहले FPPAS नहीं लगता था। जिस महीने का नहीं "
        "छपा, उसका बिल नहीं बनाया जाता।"
    ),
}
