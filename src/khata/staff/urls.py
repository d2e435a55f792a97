"""Addresses of the desk. None of them carries a name, a mobile or an account number."""

from django.urls import path

from khata.staff import bills, collection, connections, find, home, pay, shifts, sign_in

app_name = "staff"

urlpatterns = [
    path("", home.home, name="home"),
    path("sign-in/", sign_in.enter, name="sign-in"),
    path("sign-out/", sign_in.leave, name="sign-out"),
    path("post/", sign_in.post, name="post"),
    path("find/", find.search, name="find"),
    path("find/<uuid:search>/", find.found, name="found"),
    path("connections/<int:connection>/", connections.connection, name="connection"),
    path("bills/<int:bill>/pdf/", connections.bill_print, name="bill-pdf"),
    path("shifts/open/", shifts.begin, name="shift-open"),
    path("shifts/<int:shift>/", shifts.shift, name="shift"),
    path("shifts/<int:shift>/close/", shifts.end, name="shift-close"),
    path("pay/<uuid:search>/<int:at>/", pay.pay, name="pay"),
    path("pay/<uuid:search>/<int:at>/take/", pay.take, name="take"),
    path("receipts/<int:receipt>/", pay.receipt, name="receipt"),
    path("receipts/<int:receipt>/pdf/", pay.receipt_print, name="receipt-pdf"),
    path("runs/", bills.runs, name="runs"),
    path("held/", bills.held_list, name="held"),
    path("held/<int:part>/<int:connection>/", bills.held_bill, name="held-one"),
    path("held/<int:part>/<int:connection>/decide/", bills.decide_bill, name="decide"),
    path("held/<int:part>/<int:connection>/approve/", bills.approve_bill, name="approve"),
    path("collection/", collection.collected, name="collection"),
]
