"""Addresses of the desk. None of them carries a name, a mobile or an account number."""

from django.urls import path

from khata.staff import (
    bills,
    collection,
    connections,
    find,
    home,
    mobile,
    moves,
    moves_signed,
    moves_told,
    moves_work,
    pay,
    shifts,
    sign_in,
    suspense,
)

app_name = "staff"

urlpatterns = [
    path("", home.home, name="home"),
    path("sign-in/", sign_in.enter, name="sign-in"),
    path("sign-out/", sign_in.leave, name="sign-out"),
    path("post/", sign_in.post, name="post"),
    path("find/", find.search, name="find"),
    path("find/<uuid:search>/", find.found, name="found"),
    path("connections/<int:connection>/", connections.connection, name="connection"),
    path("connections/<int:connection>/mobile/", mobile.mobile, name="mobile"),
    path("bills/<int:bill>/pdf/", connections.bill_print, name="bill-pdf"),
    path("shifts/open/", shifts.begin, name="shift-open"),
    path("shifts/<int:shift>/", shifts.shift, name="shift"),
    path("shifts/<int:shift>/close/", shifts.end, name="shift-close"),
    path("pay/<uuid:search>/<int:at>/", pay.pay, name="pay"),
    path("pay/<uuid:search>/<int:at>/take/", pay.take, name="take"),
    path("receipts/<int:receipt>/", pay.receipt, name="receipt"),
    path("receipts/<int:receipt>/pdf/", pay.receipt_print, name="receipt-pdf"),
    path("suspense/", suspense.suspense, name="suspense"),
    path("suspense/<int:receipt>/", suspense.suspense_one, name="suspense-one"),
    path("runs/", bills.runs, name="runs"),
    path("held/", bills.held_list, name="held"),
    path("held/<int:part>/<int:connection>/", bills.held_bill, name="held-one"),
    path("held/<int:part>/<int:connection>/decide/", bills.decide_bill, name="decide"),
    path("held/<int:part>/<int:connection>/approve/", bills.approve_bill, name="approve"),
    path("collection/", collection.collected, name="collection"),
    path("moves/", moves.moves, name="moves"),
    path("moves/rules/", moves_work.rule_list, name="move-rules"),
    path("moves/<int:wave>/", moves.move, name="move"),
    path("moves/<int:wave>/accept/", moves_signed.accept, name="move-accept"),
    path("moves/<int:wave>/decide/", moves_signed.decide_proposal, name="move-decide"),
    path("moves/<int:wave>/exceptions/", moves_work.exception_list, name="move-exceptions"),
    path("moves/<int:wave>/rows/<int:file>/<int:line>/", moves_work.exception, name="move-exception"),
    path("moves/<int:wave>/divisions/<int:division>/door/", moves_told.door, name="move-door"),
    path("moves/<int:wave>/divisions/<int:division>/slips/", moves_told.slips, name="move-slips"),
    path("moves/<int:wave>/divisions/<int:division>/list/", moves_told.named_list, name="move-list"),
]
