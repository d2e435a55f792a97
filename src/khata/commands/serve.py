"""`khata serve`: the pages, by granian, as the role that row-level security binds; and the work behind them."""

import argparse
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from khata.commands.errors import CommandError
from khata.commands.notices import add_backend_arguments, backend_of
from khata.commands.work import work
from khata.notices.backends import Backend

PORT = 8000
_PATIENCE_SECONDS = 60
_WORKERS, _THREADS = 2, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--no-work", action="store_true", help="pages only; `khata work` runs elsewhere")
    add_backend_arguments(parser)


def run(args: argparse.Namespace) -> int:
    backend = None if args.no_work else backend_of(args)
    build_pages()
    serve(host=args.host, port=args.port, environment={}, backend=backend, ready=lambda: _tell(args.host, args.port))
    return 0


def build_pages() -> None:
    """Fonts, icons, translations and style sheets under their final names; seconds the first time, then nothing."""
    built = subprocess.run([sys.executable, "-m", "khata.site.build"], check=False)
    if built.returncode:
        raise CommandError("the pages could not be built", "serve", "See what is said above")


def serve(
    *,
    host: str,
    port: int,
    environment: Mapping[str, str],
    backend: Backend | None,
    ready: Callable[[], None],
    application: str = "khata.site.wsgi:application",
) -> None:
    """Serve until interrupted. `ready` is called once the pages answer; benchmarks put an `application` around them."""
    refuse_taken(host, port)
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    command += ["--workers", str(_WORKERS), "--blocking-threads", str(_THREADS), "--no-ws", "--log-level", "warning"]
    command += ["--respawn-failed-workers", application]
    with _as_interrupt(signal.SIGTERM):
        pages = subprocess.Popen(command, env={**os.environ, **environment, "KHATA_ROLE": "app"})
        try:
            _await(host, port, pages)
            ready()
            if backend is None:
                pages.wait()
            else:
                work(backend=backend, once=False, tell=_warn, stopped=lambda: pages.poll() is not None)
        except KeyboardInterrupt:
            pass
        finally:
            pages.terminate()
            try:
                pages.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pages.kill()


def refuse_taken(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            wrong = f"{host}:{port} cannot be served: {error.strerror or error}"
            raise CommandError(wrong, "serve", "Stop what is there, or choose another --port") from None


def _await(host: str, port: int, pages: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE_SECONDS:
        if pages.poll() is not None:
            break
        asked = http.client.HTTPConnection(host, port, timeout=2)
        try:
            asked.request("GET", "/alive/")
            asked.getresponse()
            return  # it answers, if only that https is demanded
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            asked.close()
    raise CommandError("the pages do not answer", "serve", "See what the server says above")


@contextmanager
def _as_interrupt(number: int) -> Iterator[None]:
    """So that the server is taken down with us, however we are stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)


def _tell(host: str, port: int) -> None:
    sys.stdout.write(f"Khata serves on http://{host}:{port}\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")
