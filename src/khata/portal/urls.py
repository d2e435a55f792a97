"""Addresses of the consumer's pages. None of them carries a name, a mobile or an account number."""

from django.urls import path

from khata.portal import (
    access,
    bills,
    home,
    inbox,
    numbers,
    public,
    security,
    sign_in,
    usage,
    usage_files,
    what_if,
    why,
)

app_name = "portal"

urlpatterns = [
    path("", home.home, name="home"),
    path("sign-in/", sign_in.ask, name="sign-in"),
    path("sign-in/code/", sign_in.code, name="code"),
    path("sign-in/second/", sign_in.second, name="second"),
    path("sign-in/known/", sign_in.known, name="known"),
    path("security/", security.security, name="security"),
    path("security/mobile/", security.mobile, name="mobile"),
    path("security/mobile/stop/", security.stop, name="mobile-stop"),
    path("access/", access.access, name="access"),
    path("sign-out/", sign_in.leave, name="sign-out"),
    path("connections/", home.choose, name="choose"),
    path("pay/", home.pay, name="pay"),
    path("bills/", bills.bills, name="bills"),
    path("bills/<int:bill>/", bills.bill, name="bill"),
    path("bills/<int:bill>/pdf/", bills.pdf, name="bill-pdf"),
    path("bills/<int:bill>/why/", why.why, name="why"),
    path("what-if/", what_if.what_if_page, name="what-if"),
    path("usage/", usage.usage, name="usage"),
    path("usage/day/<str:day>/", usage.day, name="usage-day"),
    path("usage/month/<str:month>/", usage.month, name="usage-month"),
    path("usage/csv/", usage_files.as_csv, name="usage-csv"),
    path("usage/green-button/", usage_files.as_green_button, name="usage-green-button"),
    path("messages/", inbox.messages, name="messages"),
    path("wrong-bill/", home.wrong, name="wrong"),
    path("check/", public.check, name="check"),
    path("receipt/", public.receipt_check, name="receipt-check"),
    path("number/", numbers.look_up, name="number"),
    path("numbers/", numbers.lists, name="numbers"),
    path("numbers/<int:division>/", numbers.of_division, name="numbers-of"),
    path("numbers/<int:division>/csv/", numbers.as_csv, name="numbers-csv"),
    path("numbers/<int:division>/pdf/", numbers.as_pdf, name="numbers-pdf"),
]
