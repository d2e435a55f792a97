"""A progress bar on standard error with rate and time left; nothing where no person watches."""

import sys
import time

_WIDTH = 30
_PAUSE_SECONDS = 0.1


class Bar:
    def __init__(self, what: str, *, total: int, quiet: bool) -> None:
        self.what, self.total = what, total
        self.shown = not quiet and sys.stderr.isatty()
        self.began = self.drawn = time.monotonic()

    def at(self, done: int, *, of_total: int) -> None:
        """`done` is counted and rated; `of_total` is how far that is on the scale of `total` (bytes, say)."""
        moment = time.monotonic()
        if not self.shown or moment - self.drawn < _PAUSE_SECONDS:
            return
        self.drawn = moment
        elapsed = moment - self.began
        text = f"{self.what} {done:,}  {done / elapsed:,.0f}/s"
        if self.total and of_total:
            filled = min(_WIDTH * of_total // self.total, _WIDTH)
            left = elapsed * max(self.total - of_total, 0) / of_total
            text = f"{text}  {'█' * filled}{'░' * (_WIDTH - filled)}  {left:.0f} s left"
        self.say(text)

    def say(self, text: str) -> None:
        """What goes on now, where nothing can be counted."""
        if self.shown:
            sys.stderr.write(f"\r{text}\033[K")
            sys.stderr.flush()

    def end(self) -> None:
        self.say("")
