"""What a function of one value says, looked up where the same values come again and again."""

from collections.abc import Callable, Iterable
from typing import Any

MOST = 1 << 15


class Remembered(dict[Any, int]):
    """By value; reckoned once, and never more than MOST of them held. An error of the function is not held."""

    def __init__(self, reckon: Callable[[Any], int]) -> None:
        super().__init__()
        self.reckon = reckon

    def __missing__(self, value: Any) -> int:
        if len(self) >= MOST:
            self.clear()
        found = self[value] = self.reckon(value)
        return found

    def all(self, values: Iterable[Any]) -> list[int]:
        return list(map(self.__getitem__, values))
