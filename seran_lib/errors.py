"""What can go wrong that a user can mend: each message names the file and the cure."""

from collections.abc import Iterable

SHOWN = 20  # problems listed in a message; the rest is counted


class DataError(ValueError):
    """What is wrong with a data set, all at once, and how to mend it.

    ``problems`` holds every problem; the message shows the first 20, a count of the rest, and the cure.
    """

    def __init__(self, problems: str | Iterable[str], cure: str = "") -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        shown = self.problems[:SHOWN]
        if len(self.problems) > SHOWN:
            shown.append(f"... and {len(self.problems) - SHOWN} more")
        if len(self.problems) > 1:
            shown = [f"{len(self.problems)} problems:", *(f"  {line}" for line in shown)]
        super().__init__("\n".join([*shown, *([cure] if cure else [])]))


class CheckpointError(RuntimeError):
    """A checkpoint that must not be used, or a result that could not be written; the message says what to do."""
