"""What bills and receipts on paper have in common: what a company prints of itself, and the printed words."""

from dataclasses import dataclass

from khata.display.labels import Label, Language


@dataclass(frozen=True)
class CompanyPaper:
    """What a company prints of itself. Without `upi_address` a document has no UPI code."""

    name_hi: str
    name_en: str
    phone: str
    email: str
    address_hi: str
    address_en: str
    upi_address: str
    upi_name: str
    merchant_code: str
    key_colour: str = "1f1d4e"  # six hexadecimal digits

    def name(self, language: Language) -> str:
        return self.name_hi if language == "hi" else self.name_en

    def address(self, language: Language) -> str:
        return self.address_hi if language == "hi" else self.address_en


OTHER: dict[Language, Language] = {"hi": "en", "en": "hi"}

BILL: dict[str, Label] = {
    "bill": Label("बिजली बिल", "Electricity bill"),
    "use_of": Label("{month} की खपत", "Use of {month}"),
    "payable": Label("देय राशि", "Amount payable"),
    "advance": Label("आपका जमा, कुछ नहीं देना है", "Your credit, nothing to pay"),
    "pay_by": Label("आख़िरी तारीख़", "Pay by"),
    "units_billed": Label("खपत", "Units used"),
    "units": Label("यूनिट", "units"),
    "days": Label("दिन", "days"),
    "new_number": Label("नया अकाउंट नंबर", "New account number"),
    "number": Label("अकाउंट नंबर", "Account number"),
    "old_number": Label("पुराना नंबर", "Old number"),
    "valid_until": Label("{day} तक मान्य", "valid until {day}"),
    "bill_number": Label("बिल नंबर", "Bill number"),
    "bill_date": Label("बिल तिथि", "Bill date"),
    "period": Label("बिल की अवधि", "Billing period"),
    "division": Label("खंड", "Division"),
    "category": Label("श्रेणी", "Category"),
    "supply": Label("आपूर्ति", "Supply type"),
    "prepaid": Label("प्रीपेड", "Prepaid"),
    "postpaid": Label("पोस्टपेड", "Post-paid"),
    "load": Label("स्वीकृत भार", "Sanctioned load"),
    "demand": Label("अधिकतम मांग", "Maximum demand"),
    "mobile": Label("मोबाइल", "Mobile"),
    "basis": Label("बिल का आधार", "Basis"),
    "by_smart": Label("असली रीडिंग (स्मार्ट मीटर से)", "Actual reading (smart meter)"),
    "by_smart_estimated": Label("स्मार्ट मीटर; एक रीडिंग अनुमानित", "Smart meter; a reading estimated"),
    "by_reader_estimated": Label("मौके की रीडिंग; एक अनुमानित", "Read on the spot; one estimated"),
    "by_reader": Label("असली रीडिंग (मौके पर पढ़ी गई)", "Actual reading (read on the spot)"),
    "meter": Label("मीटर नंबर", "Meter number"),
    "multiplier": Label("गुणांक", "MF"),
    "previous": Label("पिछली रीडिंग", "Previous reading"),
    "present": Label("वर्तमान रीडिंग", "Present reading"),
    "used": Label("यूनिट", "Units"),
    "charges": Label("हिसाब", "How it adds up"),
    "item": Label("मद", "Item"),
    "sum": Label("गणना", "Calculation"),
    "amount": Label("राशि ₹", "Amount ₹"),
    "clause": Label("संदर्भ", "Clause"),
    "bill_amount": Label("इस बिल की राशि", "Amount of this bill"),
    "arrears": Label("पिछला बकाया", "Arrears"),
    "credit": Label("पहले से जमा", "Credit"),
    "total": Label("कुल देय", "Total payable"),
    "in_words": Label("शब्दों में", "In words"),
    "last_payment": Label("पिछला भुगतान", "Last payment"),
    "receipt": Label("काउंटर पर नकद", "cash at a counter"),
    "no_payment": Label("अभी कोई भुगतान दर्ज नहीं है", "none recorded yet"),
    "slabs": Label("स्लैब में आपकी खपत", "Your use in each slab"),
    "above": Label("{units} से ऊपर", "above {units}"),
    "months": Label("खपत के महीने", "Months of use"),
    "months_alt": Label("खपत के महीने, यूनिट: {values}", "Months of use, units: {values}"),
    "last_year": Label("{month} में खपत {units} यूनिट थी।", "In {month} you used {units} units."),
    "for_months": Label("{month}: {months} महीने का एक बिल।", "{month}: one bill for {months} months."),
    "old_system": Label("हल्के: पुराने सिस्टम के बिल", "pale: bills of the old system"),
    "upi": Label("UPI से भरें", "Pay by UPI"),
    "upi_how": Label(
        "किसी भी UPI ऐप से स्कैन करें। राशि {amount} अपने-आप आएगी।",
        "Scan with any UPI app. The amount {amount} fills itself in.",
    ),
    "upi_until": Label("{day} तक मान्य, केवल इसी बिल के लिए", "Valid until {day}, for this bill only"),
    "upi_alt": Label("UPI QR कोड: {amount}, {day} तक", "UPI QR code: {amount}, until {day}"),
    "wrong": Label("बिल ठीक नहीं लग रहा?", "Does the bill look wrong?"),
    "wrong_what": Label(
        "{phone} पर फ़ोन करें या खंड कार्यालय में लिखकर दें, और शिकायत का नंबर ज़रूर लें। फिर भी हल न मिले तो विद्युत उपभोक्ता "
        "व्यथा निवारण फ़ोरम में जा सकते हैं।",
        "Call {phone} or write to the division's office, and ask for the complaint number. If that does not help, "
        "you may go to the Consumer Grievance Redressal Forum.",
    ),
    "compensation": Label("मुआवज़ा आपका हक़ है", "Compensation is your right"),
    "compensation_what": Label(
        "बिजली ठीक करने, मीटर या बिल सुधारने में तय समय से देर हो, तो शिकायत के नंबर के साथ {phone} पर मुआवज़े का दावा करें।",
        "If supply, meter or bill is not put right within the time laid down, claim compensation on {phone} with your "
        "complaint number.",
    ),
    "cut": Label("बिजली कब कट सकती है", "When supply may be cut"),
    "cut_what": Label(
        "आख़िरी तारीख़ के बाद भी पहले पूरे 15 दिन का लिखित नोटिस मिलेगा। रात में, रविवार को या छुट्टी के दिन बिजली नहीं काटी जाएगी।",
        "After the last date you first get a written notice of 15 clear days. Supply is never cut at night, "
        "on a Sunday or on a holiday.",
    ),
    "cut_prepaid_what": Label(
        "बैलेंस खत्म होने पर प्रीपेड बिजली कट सकती है, पर रात में, रविवार को या छुट्टी के दिन नहीं।",
        "Prepaid supply may be cut when the balance is used up, but never at night, on a Sunday or on a holiday.",
    ),
    "rates": Label("दरें", "Rates"),
    "draft": Label(
        "कच्चा बिल: इसकी कोई दर या नियम अभी आयोग के आदेश से मिलाया जाना बाकी है",
        "Draft: a rate or rule of this bill is still to be confirmed from the order",
    ),
    "page": Label("पृष्ठ 1/1", "Page 1/1"),
}

RECEIPT: dict[str, Label] = {
    "receipt": Label("भुगतान की रसीद", "Receipt"),
    "received": Label("जमा राशि", "Amount received"),
    "in_words": Label("शब्दों में", "In words"),
    "receipt_number": Label("रसीद नंबर", "Receipt number"),
    "at": Label("समय", "Time"),
    "counter": Label("काउंटर", "Counter"),
    "serial": Label("क्रमांक", "Serial"),
    "name": Label("उपभोक्ता", "Consumer"),
    "number": Label("अकाउंट नंबर", "Account number"),
    "typed": Label("दिया गया नंबर", "Number as given"),
    "mode": Label("भुगतान का तरीका", "Mode"),
    "cash": Label("नकद", "Cash"),
    "balance": Label("इसके बाद बकाया", "Balance due after this"),
    "credit": Label("इसके बाद जमा", "Credit after this"),
    "cashier": Label("कैशियर", "Cashier"),
    "verify": Label("रसीद जाँचें", "Check this receipt"),
    "verify_alt": Label("रसीद जाँचने का QR कोड", "QR code to check the receipt"),
    "given": Label("आपने यह नंबर दिया", "The number that you gave"),
    "safe": Label("आपका पैसा सुरक्षित है", "Your money is safe"),
    "safe_how": Label(
        "यह रकम विभाग में जमा हो गई है। इस नंबर का खाता देखकर हम इसे आपके बिल में जोड़ देंगे, और जुड़ते ही SMS भेजेंगे। "
        "आपको दोबारा पैसा नहीं देना है। पूछना हो तो {phone} पर यह रसीद नंबर बताएँ।",
        "We have received this amount. We will find the account of this number, put the money on it and send an SMS. "
        "You do not need to pay again. To ask about it, call {phone} and tell this receipt number.",
    ),
    "keep": Label(
        "यह रसीद सँभालकर रखें। गड़बड़ी लगे तो {phone} पर बताएँ।", "Keep this receipt. If something is wrong, call {phone}."
    ),
}


SLIP: dict[str, Label] = {
    "slip": Label("नए खाता नंबर की पर्ची", "Slip with the new account number"),
    "new_number": Label("आपका नया खाता नंबर", "Your new account number"),
    "old_number": Label("पुराना नंबर", "Old number"),
    "valid_until": Label("{day} तक चलेगा", "accepted until {day}"),
    "same": Label("मीटर वही है", "The meter is the same"),
    "same_what": Label(
        "केवल खाता नंबर बदला है। मीटर, उसका नंबर और आपका बिजली कनेक्शन वही हैं। बिल भरते समय यही नया नंबर बताएँ।",
        "Only the account number has changed, not the meter, its number or your connection. Pay under this number.",
    ),
    "free": Label(
        "यह पर्ची मुफ़्त है। इसके लिए कोई पैसा, OTP या बैंक की जानकारी न दें। हेल्पलाइन {phone}",
        "This slip is free. Give no money, OTP or bank details for it. Helpline {phone}",
    ),
    "feeder": Label("फीडर", "Feeder"),
    "book": Label("बुक", "Book"),
    "qr_alt": Label("नए खाता नंबर का QR कोड", "QR code of the new account number"),
}

LIST: dict[str, Label] = {
    "list": Label("पुराने नंबर और नए खाता नंबर", "Old numbers and new account numbers"),
    "masked": Label("पुराने नंबर, बीच के अंक छिपे हुए", "Old numbers, the middle hidden"),
    "until": Label("पुराने नंबर {day} तक चलेंगे।", "Old numbers are accepted until {day}."),
    "sorted": Label("सूची पुराने नंबर के क्रम में है। मीटर वही है।", "In order of the old number. The meter is the same."),
    "by_sms": Label(
        "नया नंबर केवल आपके दर्ज मोबाइल पर SMS से आता है।", "The new number comes by SMS to your registered mobile only."
    ),
    "helpline": Label("हेल्पलाइन {phone}", "Helpline {phone}"),
}


def words(table: dict[str, Label], language: Language) -> dict[str, list[str]]:
    """Each word for a template: in the reader's language, then in the other."""
    return {name: [label.in_(language), label.in_(OTHER[language])] for name, label in table.items()}
