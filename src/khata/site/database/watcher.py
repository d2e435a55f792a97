"""Stops the embedded server after its last user.

It runs as a program of its own, with the standard library only. Every user of the server holds a shared lock on
users.lock for as long as it lives. The kernel gives the lock back however a process dies, so to wait for the exclusive
lock is to wait for the last user; no list of process numbers can go stale.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path


def end(data: Path, *, patience_s: float) -> None:
    """Stops whatever server lives in this folder and returns when it is gone; kills it when patience is over."""
    deadline = time.monotonic() + patience_s
    asked = False
    while processes := _processes_in(data):
        late = time.monotonic() - deadline
        if late > 10:
            return  # not even SIGKILL reaches them; the next start will say what is wrong
        for pid, parent in processes.items():
            if late > 0:
                _signal(pid, signal.SIGKILL)
            elif not asked and parent not in processes:
                _signal(pid, signal.SIGINT)  # to a postmaster: stop fast, with a checkpoint
        asked = True
        time.sleep(0.02)


def _processes_in(data: Path) -> dict[int, int]:
    """Process and parent of all that work in the folder. Without /proc none is found: the server then stays up."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(data):
                # The name in brackets may hold blanks; the parent is the second field after it.
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _main(watch_lock: int, pg: Path) -> None:
    os.setsid()  # the terminal's Ctrl-C is not meant for us
    os.chdir("/")
    users_lock = os.open(pg / "users.lock", os.O_RDWR)
    fcntl.flock(users_lock, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        # Another folder of this name holds another server, with users of its own: it is not ours to stop.
        if os.path.samestat(os.fstat(users_lock), os.stat(pg / "users.lock")):
            end(pg / "data", patience_s=120)
    # In this order: who waits for users.lock starts a watcher of its own only if it finds this lock free.
    os.close(watch_lock)
    os.close(users_lock)


if __name__ == "__main__":
    _main(int(sys.argv[1]), Path(sys.argv[2]))
