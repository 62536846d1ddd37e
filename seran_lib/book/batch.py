"""`make book` and `make trainings`: plan the steps, have Snakemake do them, and say a line for each that is done.

Every batch has a new folder below `runs/batch/`: the plan, a log for each step, and an empty file NAME.done for each
that is done. That folder is all that is looked at, so that a step may as well run on another machine of a cluster.

The words (`plan.WORDS`) come from the environment, where `make` puts them as they were typed; `SNAKEMAKE` there is the
command in place of this machine's, such as "snakemake --profile clusters/slurm", or one with `--dry-run`.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from seran_lib import paths
from seran_lib.book import plan
from seran_lib.book.plan import Step
from seran_lib.book.stopping import KEEPER
from seran_lib.progress import progress_bar

FAULT = re.compile(r"^(?:run|seran \w+): (.+)$", re.MULTILINE)  # how a notebook's command says what went wrong
DRY = {"-n", "--dry-run", "--dryrun"}  # Snakemake's words for saying only what it would do
COPY = re.compile(r"^finished (.+)$", re.MULTILINE)


def start(steps: list[Step], asked: str) -> tuple[Path, subprocess.Popen]:
    """A new folder for these steps, and the Snakemake that is at work in it."""
    (paths.runs() / "batch").mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=paths.runs() / "batch"))
    content = [{name: value for name, value in vars(step).items() if name != "reads"} for step in steps]
    (place / "plan.json").write_text(json.dumps(content), encoding="utf-8")
    command = shlex.split(asked) or [sys.executable, "-m", "snakemake", "--cores", "all", "--quiet", "all"]
    command += ["--snakefile", str(paths.ROOT / "Snakefile"), "--directory", str(place)]
    command += ["--runtime-source-cache-path", str(place / ".snakemake" / "sources")]
    with (place / "snakemake.log").open("w") as log:
        output = {} if DRY & set(command) else {"stdout": log, "stderr": subprocess.STDOUT}
        library = os.pathsep.join(filter(None, (str(paths.ROOT), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {KEEPER: str(os.getpid()), "PYTHONPATH": library}
        return place, subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, **output)


def follow(process: subprocess.Popen, steps: list[Step], place: Path) -> dict[str, float]:
    """Say a line for each step as it ends, until Snakemake does. Returns when each step began, of those that failed."""
    began: dict[str, float] = {}
    ended: list[Step] = []
    with progress_bar(total=len(steps), leave=False, bar_format="{n}/{total} |{bar:20}| {elapsed} {desc}") as bar:
        over = False
        while not over:
            time.sleep(0.2)
            over = process.poll() is not None
            for step in steps:
                log = place / f"{step.name}.log"
                if step in ended or not log.exists():
                    continue
                began.setdefault(step.name, time.monotonic())
                if (place / f"{step.name}.done").exists():
                    ended.append(step)
                    bar.clear()
                    print(_line(step, steps, ended, time.monotonic() - began.pop(step.name), _text(log)), flush=True)
                    bar.update()
            bar.set_description_str("  ".join(_doing(step, place) for step in steps if step.name in began))
    return began


def _line(step: Step, steps: list[Step], ended: list[Step], seconds: float, log: str) -> str:
    """What a step was, which of how many, its time, and where its copy lies, which is remembered."""
    copy = COPY.findall(log)[-1]
    with contextlib.suppress(OSError):  # a chapter that is not remembered is done again
        step.keep(copy)
    number, of = (sum(one.kind == step.kind for one in several) for several in (ended, steps))
    width = max(len(one.title) for one in steps)
    return f"{step.kind:9}{number:2}/{of}  {step.title:{width}}{_time(seconds):>11}   {_shown(copy)}"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _doing(step: Step, place: Path) -> str:
    """A step that is running, and the last that its log says."""
    said = _text(place / f"{step.name}.log").strip().rpartition("\n")[2]
    return f"{step.title}: {said[:40]}" if step.kind == "training" else step.title


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _shown(path: str | Path) -> str:
    """A path as short as it can be given from the clone."""
    return str(Path(path).relative_to(paths.ROOT) if Path(path).is_relative_to(paths.ROOT) else path)


def failures(steps: list[Step], began: dict[str, float], place: Path) -> str:
    """What to tell a user about the steps that were begun and did not end."""
    lines = []
    for step in steps:
        if step.name in began:
            log = place / f"{step.name}.log"
            text = _text(log)
            said = FAULT.findall(text) or text.strip().split("\n")
            lines.append(f"{step.title} failed: {said[-1]}\n  its log: {_shown(log)}")
    return "\n".join(lines or [f"Snakemake failed, see {_shown(place / 'snakemake.log')}"])


def farewell(goal: str, steps: list[Step], seconds: float) -> str:
    """What was made, where to look, what to do next."""
    count = {kind: sum(step.kind == kind for step in steps) for kind in ("training", "chapter")}
    made = " and ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in count.items() if n)
    first = steps[-1] if goal == "trainings" else next((s for s in steps if s.kind == "chapter"), steps[0])
    copy = _shown(first.mark().read_text(encoding="utf-8"))
    smoke = steps[0].words[steps[0].words.index("--profile") + 1] == "smoke"
    following = {
        ("book", True): "read the chapters with make lab; train on photographs: make book PROFILE=laptop DATA=folder",
        ("book", False): "make table puts the new results into README.md and results/",
        ("trainings", True): "make book runs the chapters, too",
        ("trainings", False): "make table puts the new results into README.md and results/",
    }
    return f"made   {made} in {_time(seconds)}\nlook   {copy}\nnext   {following[goal, smoke]}"


def do(goal: str, words: Mapping[str, str]) -> int:
    """Do what is due of "book" or "trainings". Returns 0, or 1 where a step failed.

    Raises ValueError where a word is wrong, and CheckpointError where the ledger has such a run on other images.
    """
    planned = plan.steps(goal, words)
    steps = [step for step in planned if step.due]
    if not steps:
        print(f"nothing to be done: all {len(planned)} steps of make {goal} are done, see {_shown(paths.runs())}")
        return 0
    begun = time.monotonic()
    place, process = start(steps, words.get("SNAKEMAKE", ""))
    if DRY & set(process.args):
        return process.wait()
    done = f", {len(planned) - len(steps)} are done already" if len(steps) < len(planned) else ""
    print(f"make {goal}: {len(steps)} step{'s' * (len(steps) > 1)}{done}; logs in {_shown(place)}", flush=True)
    began = follow(process, steps, place)
    if process.returncode:
        print(f"{failures(steps, began, place)}\nGive the same command again to resume", file=sys.stderr)
        return 1
    print(farewell(goal, steps, time.monotonic() - begun))
    return 0
