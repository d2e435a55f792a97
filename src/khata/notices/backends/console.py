"""Shows each message instead of sending it, the mobile masked."""

from typing import TextIO

from khata.notices.backends import Answer, Meta, masked


class Console:
    name = "console"

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        self.stream.write(f"{masked(mobile)}  {text}\n")
        self.stream.flush()
        return Answer("sent")
