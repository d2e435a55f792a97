"""Who may open which page. A page that is not named here is not served, and fails the suite.

"anyone" needs no sign-in. What a person then sees of the data is decided by the scope of the request (`guard`) and,
behind it, by the database.
"""

PUBLIC = frozenset({"anyone", "consumer", "cashier", "officer"})
CONSUMER = frozenset({"consumer"})
STAFF = frozenset({"cashier", "officer"})
CASHIER = frozenset({"cashier"})
OFFICER = frozenset({"officer"})

POLICY: dict[str, frozenset[str]] = {
    # the frame
    "language": PUBLIC,
    "theme": PUBLIC,
    "manifest": PUBLIC,
    "accessibility": PUBLIC,
    "privacy": PUBLIC,
    "complaints": PUBLIC,
    "alive": PUBLIC,
    # the consumer's pages
    "portal:sign-in": PUBLIC,
    "portal:code": PUBLIC,
    "portal:sign-out": CONSUMER,
    "portal:home": CONSUMER,
    "portal:choose": CONSUMER,
    "portal:pay": CONSUMER,
    "portal:bills": CONSUMER,
    "portal:bill": CONSUMER,
    "portal:bill-pdf": CONSUMER,
    "portal:messages": CONSUMER,
    "portal:wrong": CONSUMER,
    "portal:check": PUBLIC,
    "portal:receipt-check": PUBLIC,
    "portal:number": PUBLIC,
    "portal:numbers": PUBLIC,
    "portal:numbers-of": PUBLIC,
    "portal:numbers-csv": PUBLIC,
    "portal:numbers-pdf": PUBLIC,
    # the desk
    "staff:sign-in": PUBLIC,
    "staff:sign-out": STAFF,
    "staff:post": STAFF,
    "staff:home": STAFF,
    "staff:find": STAFF,
    "staff:found": STAFF,
    "staff:connection": STAFF,
    "staff:bill-pdf": STAFF,
    "staff:shift-open": CASHIER,
    "staff:shift": STAFF,
    "staff:shift-close": STAFF,
    "staff:pay": CASHIER,
    "staff:take": CASHIER,
    "staff:receipt": STAFF,
    "staff:receipt-pdf": STAFF,
    "staff:runs": OFFICER,
    "staff:held": OFFICER,
    "staff:held-one": OFFICER,
    "staff:decide": OFFICER,
    "staff:approve": OFFICER,
    "staff:collection": OFFICER,
    "staff:suspense": OFFICER,
    "staff:suspense-one": OFFICER,
    "staff:moves": OFFICER,
    "staff:move": OFFICER,
    "staff:move-rules": OFFICER,
    "staff:move-accept": OFFICER,
    "staff:move-decide": OFFICER,
    "staff:move-exceptions": OFFICER,
    "staff:move-exception": OFFICER,
    "staff:move-door": OFFICER,
    "staff:move-slips": OFFICER,
    "staff:move-list": OFFICER,
    # the demo alone
    "outbox": PUBLIC,
}
