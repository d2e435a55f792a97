"""How far a long command is: on a terminal a bar with rate and time left, elsewhere a plain line a finished step."""

import sys
import time
from typing import TextIO

from khata.display.money import grouped

_BAR, _NAME = 24, 36
_NOT_OFTENER = 0.1  # seconds between two pictures of the bar


class Steps:
    """Called with a step's name, how many are done, of how many. A new name begins a new step."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.step, self.began, self.drawn = "", 0.0, 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != self.step:
            self.step, self.began, self.drawn = step, now, 0.0
        if done >= total:
            self._finish(total, now - self.began)
        elif self.terminal and now - self.drawn >= _NOT_OFTENER:
            self.drawn = now
            self._draw(done, total, now - self.began)

    def stop(self) -> None:
        """Leaves an unfinished bar where it is and goes to the next line."""
        if self.terminal and self.drawn:
            self.stream.write("\n")

    def _draw(self, done: int, total: int, seconds: float) -> None:
        filled = _BAR * done // total
        text = f"{self.step:<{_NAME}} {'█' * filled}{'░' * (_BAR - filled)} {grouped(done)} of {grouped(total)}"
        if done and seconds > 0:
            rate = done / seconds
            text += f", {grouped(round(rate))} a second, {(total - done) / rate:.0f} s left"
        self.stream.write(f"\r{text}\033[K")
        self.stream.flush()

    def _finish(self, total: int, seconds: float) -> None:
        count = f"{grouped(total)} in " if total > 1 else ""
        self.stream.write(f"{chr(13) if self.terminal else ''}{self.step:<{_NAME}} {count}{seconds:.1f} s")
        self.stream.write("\033[K\n" if self.terminal else "\n")
        self.stream.flush()
        self.step = ""
