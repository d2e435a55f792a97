"""An account number as it is read out, the same on pages, on paper and in messages."""


def parted(number: str) -> str:
    """Ten digits as `31 0472 8856`, which neither an eye nor a filter takes for a mobile; anything else as it is."""
    return f"{number[:2]} {number[2:6]} {number[6:]}" if len(number) == 10 else number
