"""What can go wrong that a user can fix: each message names the file and says how."""

from collections.abc import Iterable

SHOWN = 20  # problems listed in a message; the rest is counted


class DataError(ValueError):
    """What is wrong with a data set, all at once, and how to fix it.

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
    """A checkpoint that must not be used; the message says what to do."""


class WriteError(OSError):
    """A file that could not be written: what went wrong (`errno`, `strerror`), and which (`filename`)."""

    def __str__(self) -> str:
        return (
            f"could not write {self.filename}: {self.strerror}. What was written before is intact. "
            "Free some disk space or choose another folder, then run the same command again: it resumes."
        )
