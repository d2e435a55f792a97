"""Logs name nobody: every number that may be an account, an old number or a mobile is masked, wherever it stands."""

import logging
import re

_NUMBER = re.compile(r"(?<![0-9])\+?[0-9]{6,13}(?![0-9])")


class Masked(logging.Formatter):
    """Also in tracebacks: a database's error repeats the values that it refused."""

    def format(self, record: logging.LogRecord) -> str:
        return _NUMBER.sub("…", super().format(record))
