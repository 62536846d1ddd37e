"""The peak memory of a task, measured from outside, with all the processes that the task starts."""

import multiprocessing
import re
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

INTERVAL = 0.01  # seconds between two looks
PROC = Path("/proc")
# Pages of files are left out: the system takes them back whenever it needs them, and processes share them.
HELD = re.compile(r"^Pss_(?:Anon|Shmem): +(\d+) kB$", re.MULTILINE)


def measurable() -> bool:
    """Whether the system tells what is needed, which only Linux does; says so where it does not."""
    told = (PROC / "self" / "smaps_rollup").exists()
    if not told:
        print(f"memory: not measured, this system has no {PROC}/*/smaps_rollup")
    return told


def peak_memory(task: Callable[..., object], *arguments: object) -> float:
    """Most memory, in MB, that `task(*arguments)` holds above what its process held after the imports.

    The task runs in a new process that imports the task's module first. Counted are the private and shared memory of
    that process and of its children (the proportional set size without file pages). Raises RuntimeError where the
    task fails; works where `measurable()`.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, task, arguments))
    process.start()
    there.close()  # or the end of the process would not end the conversation
    try:
        here.recv()
        root = psutil.Process(process.pid)
        before = peak = _held(root)
        here.send("begin")
        while not here.poll(INTERVAL):
            peak = max(peak, _held(root))
        here.recv()
    except EOFError:
        raise RuntimeError(f"{task.__name__}{arguments} failed, see above") from None
    finally:
        here.close()
        process.join()
    return (peak - before) / 1e6


def _run(connection: Connection, task: Callable[..., object], arguments: tuple[object, ...]) -> None:
    multiprocessing.set_start_method(None, force=True)  # processes that the task starts begin as they would by default
    connection.send("imported")
    connection.recv()
    task(*arguments)
    connection.send("done")


def _held(root: psutil.Process) -> int:
    """Bytes of a process and its children; what ends meanwhile holds nothing."""
    total = 0
    for process in (root, *root.children(recursive=True)):
        try:
            rollup = (PROC / str(process.pid) / "smaps_rollup").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(1024 * int(size) for size in HELD.findall(rollup))
    return total
