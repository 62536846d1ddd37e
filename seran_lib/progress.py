"""Progress bars for long work, drawn where somebody sees them: on a terminal, or in a notebook."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress_bar(items: Iterable | None = None, *, show: bool = True, **look: Any) -> tqdm:
    """A bar over `items`, or one to be moved by hand; `look` is passed on to tqdm. Nothing is drawn without `show`."""
    return tqdm(items, disable=not (show and _watched()), **look)


def _watched() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel") or (sys.stderr is not None and sys.stderr.isatty())
