"""Addresses of the consumer's pages. None of them carries a name, a mobile or an account number."""

from django.urls import path

from khata.portal import bills, home, numbers, public, sign_in

app_name = "portal"

urlpatterns = [
    path("", home.home, name="home"),
    path("sign-in/", sign_in.ask, name="sign-in"),
    path("sign-in/code/", sign_in.code, name="code"),
    path("sign-out/", sign_in.leave, name="sign-out"),
    path("connections/", home.choose, name="choose"),
    path("pay/", home.pay, name="pay"),
    path("bills/", bills.bills, name="bills"),
    path("bills/<int:bill>/", bills.bill, name="bill"),
    path("bills/<int:bill>/pdf/", bills.pdf, name="bill-pdf"),
    path("messages/", home.messages, name="messages"),
    path("wrong-bill/", home.wrong, name="wrong"),
    path("check/", public.check, name="check"),
    path("receipt/", public.receipt_check, name="receipt-check"),
    path("number/", numbers.look_up, name="number"),
    path("numbers/", numbers.lists, name="numbers"),
    path("numbers/<int:division>/", numbers.of_division, name="numbers-of"),
    path("numbers/<int:division>/csv/", numbers.as_csv, name="numbers-csv"),
    path("numbers/<int:division>/pdf/", numbers.as_pdf, name="numbers-pdf"),
]
