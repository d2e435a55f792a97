"""The pages served as they are in earnest: by granian, under row-level security, on a test's database."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.database import VAR, Database

_PATIENCE_SECONDS = 60


def build_pages() -> None:
    """Fonts, icons, translations, style sheets of the tests; nothing to do after the first time."""
    subprocess.run([sys.executable, "-m", "khata.site.build"], check=True, env={**os.environ, "KHATA_VAR": str(VAR)})


@contextmanager
def served(database: Database, *, today: str, outbox: Path | None = None, workers: int = 1) -> Iterator[str]:
    """The address at which the pages answer until the end."""
    build_pages()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = f"http://127.0.0.1:{port}"
    environment = {
        **database.env(),
        "KHATA_ROLE": "app",
        "KHATA_VAR": str(VAR),
        "KHATA_TODAY": today,
        "KHATA_HTTPS": "0",
        "KHATA_SITE_URL": site,
        "KHATA_DEMO_OUTBOX": str(outbox or ""),
    }
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers), "--blocking-threads", "4", "--no-ws", "--log-level", "error"]
    server = subprocess.Popen([*command, "khata.site.wsgi:application"], env=environment)
    try:
        _await(f"{site}/alive/", server)
        yield site
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()


def _await(address: str, server: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE_SECONDS and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError("the pages do not answer")
