"""`seran table` and `seran pair`: what is generated from the ledger, and the notebooks of their scripts."""

import argparse
import sys

from nbclient.exceptions import CellExecutionError, DeadKernelError

from seran_lib.book import readme, render
from seran_lib.errors import CheckpointError
from seran_lib.files import replacing
from seran_lib.paths import NOTEBOOKS
from seran_lib.train.profiles import PROFILES


def table(options: argparse.Namespace) -> int:
    """Write what changed, of figures only with `--figures`; with `--check` only say so, and return 1 if any did."""
    shown = [name for name in PROFILES if name != "smoke"]  # which leaves no results
    profile = options.profile or readme.shown_now()
    if profile not in shown:
        raise ValueError(f"--profile: {profile!r} has no results: choose one of {', '.join(shown)}")
    written = readme.outputs(profile) | (readme.drawings(profile) if options.figures else {})
    stale = [path for path in written if not path.exists() or path.read_text(encoding="utf-8") != written[path]]
    for path in stale:
        name = path.relative_to(readme.ROOT).as_posix()
        if options.check:
            print(f"{name} is not what the ledger says: run make table", file=sys.stderr)
        else:
            with replacing(path) as stream:
                stream.write(written[path].encode())
            print(f"wrote {name}")
    return int(options.check and bool(stale))


def pair(options: argparse.Namespace) -> int:
    """Execute scripts and store their notebooks; one that fails does not stop the others."""
    failed = 0
    for script in [path.with_suffix(".py") for path in options.notebooks] or sorted(NOTEBOOKS.glob("[0-9]*.py")):
        try:
            changed = ", ".join(path.name for path in render.pair(script.resolve()))
            print(f"{script.stem}: {f'wrote {changed}' if changed else 'unchanged'}", flush=True)
        except (CellExecutionError, DeadKernelError, CheckpointError, ValueError, OSError) as error:
            print(f"{script.stem}: not written\n{error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0
