"""The registered templates. No text goes out that is not one of these."""

from dataclasses import dataclass
from typing import Literal

VariableKind = Literal["tail", "money", "date"]


@dataclass(frozen=True)
class Template:
    """`text` by language; variables fill {0}, {1} … in order. DLT ids are given by the operator at registration."""

    name: str
    variables: tuple[VariableKind, ...]
    text: dict[str, str]


BILL_ISSUED = Template(
    "bill-issued",
    ("tail", "money", "date"),
    {
        "hi": "खाता ..{0} बिजली बिल ₹{1}, देय {2} तक। जानकारी 1912",
        "en": "Electricity a/c ..{0}: bill Rs {1}, pay by {2}. Help 1912",
    },
)

TEMPLATES = {template.name: template for template in (BILL_ISSUED,)}
