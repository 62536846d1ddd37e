"""Interrupting is killing: no state is saved on the way out, so that Ctrl-C, SIGTERM, SIGKILL and a power cut all take
the same way back."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import psutil

KEEPER = "SERAN_SNAKEMAKE"  # in the environment: the process number of the batch that a run belongs to
KILLED = 5.0  # seconds in which killed processes are gone


def stop(who: str, reason: str, code: int) -> None:
    """End this process and all below it at once, with one line on stderr that says why. Does not return."""
    family = psutil.Process().children(recursive=True)
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(family, timeout=KILLED)  # a kernel that is still there would still hold its run's folder
    os.write(sys.stderr.fileno(), f"{who}: {reason}. Give the same command again to resume\n".encode())
    os._exit(code)


@contextlib.contextmanager
def stopped_by_signals(who: str) -> Iterator[None]:
    """Meanwhile Ctrl-C and SIGTERM end all processes below, with the exit codes of a shell, 130 and 143."""

    def told(number: int, frame: FrameType | None) -> None:
        stop(who, f"stopped by {signal.Signals(number).name}", 128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup and a shell's background jobs ignore Ctrl-C
            signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_without(keeper: int) -> None:
    """From now on stop within about a second of losing the ancestor process of this number.

    A killed batch leaves its jobs running, and with them the locks of their folders: the same command, given
    again, would be refused. A run that has no such ancestor from the start has lost it while Python was starting.
    """

    def watch() -> None:
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):  # an ancestor ends while the line of them is walked up
                if keeper not in [ancestor.pid for ancestor in psutil.Process().parents()]:
                    stop("seran notebook", "the batch that started this run is gone", 1)
            time.sleep(1)

    threading.Thread(target=watch, name="watch the batch", daemon=True).start()
