"""Rupees, units and loads as people read them: exact integers, Indian grouping, digits 0-9 in Hindi and English."""

RUPEE = "₹"


def rupees(paise: int) -> str:
    """`-₹1,23,45,678.50`: the minus stands in front of the sign."""
    return f"{'-' if paise < 0 else ''}{RUPEE}{amount(abs(paise))}"


def amount(paise: int) -> str:
    """`1,23,45,678.50`, for columns whose heading has the ₹."""
    return scaled(paise, places=2, least=2)


def plain_rupees(paise: int) -> str:
    """`2348.00`, for machines: no grouping, always two decimals."""
    return f"{'-' if paise < 0 else ''}{abs(paise) // 100}.{abs(paise) % 100:02d}"


def kwh(energy_wh: int) -> str:
    """Units, without idle zeros: 312850 Wh is `312.85`."""
    return scaled(energy_wh, places=3, least=0)


def kw(load_w: int) -> str:
    """Load or demand, without idle zeros: 1270 W is `1.27`. The same for VA in kVA."""
    return scaled(load_w, places=3, least=0)


def rate(rate_e4: int) -> str:
    """A rate in 1/10,000 rupee (or of a per cent): 61650 is `6.165`, 55000 is `5.50`."""
    return scaled(rate_e4, places=4, least=2)


def scaled(value: int, *, places: int, least: int) -> str:
    """An integer with `places` implied decimals; trailing zeros go, but `least` decimals stay."""
    whole, part = divmod(abs(value), 10**places)
    decimals = f"{part:0{places}d}".rstrip("0").ljust(least, "0") if places else ""
    return f"{'-' if value < 0 else ''}{grouped(whole)}{'.' if decimals else ''}{decimals}"


def grouped(whole: int) -> str:
    """Thousands, then lakhs and crores: 12345678 is `1,23,45,678`."""
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    if not head:
        return tail
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail])
