"""How a value of a meter day came to be known: names for machines, letters of half-hours, and words.

By number, as `metering.models.Origin` stores it and `formats.meterdays` reads it.
"""

from collections.abc import Sequence

from khata.display.labels import Label

HALF_HOURS = 48
ORIGINS = {1: "actual", 2: "estimated", 3: "substituted", 4: "edited"}
LETTERS = {1: "A", 2: "E", 3: "S", 4: "D"}
HOW = {
    1: Label("मीटर से", "measured"),
    2: Label("अनुमानित", "estimated"),
    3: Label("बदला गया", "substituted"),
    4: Label("सुधारा गया", "edited"),
}


def letters(*, origin: int, origins: str | None, blocks_wh: Sequence[int | None] | None) -> str:
    """A letter for each of 48 half-hours: A actual, E estimated, S substituted, D edited, - not known.

    `origins`: the letters that are stored where half-hours differ; else `origin` is that of all that are known.
    """
    if origins:
        return origins
    return "".join("-" if wh is None else LETTERS[origin] for wh in blocks_wh or [None] * HALF_HOURS)
