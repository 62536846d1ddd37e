"""Pictures are named: decoded in threads, seen by the network in batches, answered at the asked risk."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from seran_lib.data.pictures import WORKERS, UnfitError, decode, strict_pillow
from seran_lib.predict.bundle import Bundle
from seran_lib.predict.rules import GROUP, NEVER, SPECIES, decide, group_sums, probabilities

BATCH = 16  # pictures that the network sees at once
AHEAD = 4  # batches decoded ahead of it
TOP = 3
COLUMNS = (
    *("file", "top1", "probability", "answer", "level", "expected_accuracy", "accuracy_low", "accuracy_high"),
    *("top2", "probability2", "top3", "probability3", "test_pictures", "why"),
)
MEASURED = {"expected_accuracy": "share", "accuracy_low": "low", "accuracy_high": "high", "test_pictures": "of"}
UNREADABLE = "unreadable"  # the level of a file that is no picture


@dataclass(frozen=True)
class Answer:
    """What is said of one file.

    `top` are the three most probable species with their calibrated probabilities, `answer` the name at the asked risk
    and `level` what kind of name it is: "species", a rank of the bundle such as "genus", "unknown", or "unreadable".
    `expected` is how often that name was right on test pictures (share, low, high: 95 %, count, of), None where it has
    not been measured. `why` says why the answer is no species.
    """

    file: str
    top: tuple[tuple[str, float], ...] = ()
    answer: str = ""
    level: str = UNREADABLE
    expected: dict[str, float | None] | None = None
    why: str = ""

    def row(self) -> dict[str, object]:
        """The answer as a row of `COLUMNS`; what is not known is an empty string."""
        row = dict.fromkeys(COLUMNS, "") | {name: getattr(self, name) for name in ("file", "answer", "level", "why")}
        for number, (name, share) in enumerate(self.top, 1):
            row |= {f"top{number}": name, f"probability{number}" if number > 1 else "probability": share}
        expected = {column: (self.expected or {}).get(name) for column, name in MEASURED.items()}
        return row | {column: value for column, value in expected.items() if value is not None}


def window(content: bytes, side: int) -> np.ndarray:
    """The central square (side, side, 3) uint8 of the picture in a file's content, as the network sees test images in
    training. Raises UnfitError for what is no picture."""
    picture = np.asarray(decode(content, side=side))
    down, across = (round((length - side) / 2) for length in picture.shape[:2])  # as data.pack.PackedImages.fetch
    return picture[down : down + side, across : across + side]


def predict(bundle: Bundle, files: Iterable[str | Path], *, risk: float = 0.05) -> Iterator[Answer]:
    """Name the pictures in files, one answer for each in their order; files that cannot be read have one, too.

    `risk` is the share of wrong names that is accepted: the thresholds are those of the largest risk in the bundle that
    is not above it. Raises ValueError where it has none.
    """
    thresholds = bundle.thresholds(risk)
    with strict_pillow(), ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[list[tuple[str, Future]]] = deque()
        left = iter(files)
        while batch := list(islice(left, BATCH)):
            waiting.append([(str(file), pool.submit(_read, file, bundle.side)) for file in batch])
            if len(waiting) > AHEAD:
                yield from _answers(bundle, waiting.popleft(), thresholds)
        while waiting:
            yield from _answers(bundle, waiting.popleft(), thresholds)


def _read(file: str | Path, side: int) -> np.ndarray | str:
    """The window of a file, or in words why there is none."""
    try:
        return window(Path(file).read_bytes(), side)
    except UnfitError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _answers(bundle: Bundle, batch: list[tuple[str, Future]], thresholds: tuple[np.ndarray, float]) -> Iterator[Answer]:
    read = [(file, future.result()) for file, future in batch]
    windows = [found for _, found in read if not isinstance(found, str)]
    named = _named(bundle, np.stack(windows), thresholds) if windows else iter(())
    for file, found in read:
        yield Answer(file, why=found) if isinstance(found, str) else Answer(file, **next(named))


def _named(bundle: Bundle, windows: np.ndarray, thresholds: tuple[np.ndarray, float]) -> Iterator[dict[str, object]]:
    """What is said of each window (n, side, side, 3): the fields of `Answer` but for the file."""
    about, classes = bundle.about, bundle.classes
    shares = probabilities(bundle.scores(windows), about["temperature"])
    levels, chosen = decide(shares, bundle.groups, *thresholds)
    order = np.argsort(-shares, axis=1, kind="stable")[:, :TOP]
    for mine, level, number, best in zip(shares, levels, chosen, order, strict=True):
        top = tuple((classes[k], round(float(mine[k]), 4)) for k in best)
        answer, kind, expected, why = "unknown", "unknown", None, _why(bundle, mine, thresholds)
        if level == SPECIES:
            answer, kind, expected, why = top[0][0], "species", about["accuracy"]["species"][number]["named"], ""
        elif level == GROUP:
            answer, kind = about["groups"]["names"][number], about["groups"]["rank"]
            expected = about["accuracy"]["groups"][number]
        yield {"top": top, "answer": answer, "level": kind, "expected": expected, "why": why}


def _why(bundle: Bundle, shares: np.ndarray, thresholds: tuple[np.ndarray, float]) -> str:
    """Why no species is named, and where no group is, why not: probabilities (classes,) against thresholds."""
    species_least, group_least = thresholds
    best = int(shares.argmax())
    why = _below(bundle.classes[best], shares[best], species_least[best])
    sums = group_sums(shares[None], bundle.groups)[0]
    if len(sums) and sums.max() < group_least:
        why += "; " + _below(bundle.about["groups"]["names"][sums.argmax()], sums.max(), group_least)
    return why


def _below(name: str, share: float, least: float) -> str:
    if least == NEVER:
        return f"{name}: too few validation pictures, or too many errors on them, to keep this risk"
    return f"{name} {100 * share:.1f} %, below {100 * least:.1f} %"
