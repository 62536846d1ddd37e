"""Protocol 1 in code: its claims and contrasts, and the rules that decide.

Its text is docs/protocol/1.md, as it was written before the runs and amended. Protocol 2 follows in `protocol2.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from seran_lib.analysis.ratios import Ratio

LEVEL = 0.05  # of Holm's p
MARGIN = 1.15  # errors within it are alike
SEEDS_NEEDED = 3
RISE = 0.05  # of the validation loss above its lowest: over-fitting
GOALS = MappingProxyType({"from random weights": 2.0, "with pretrained weights": 4.0})  # times fewer errors, chapter 12
SLACK = 1.1  # how much longer than SERAN-D is no longer, clocks being unsteady
NOT_RUN, CANNOT_TELL, ALIKE = "not run", "cannot tell", "alike"
AGREES, CONTRADICTS = "agrees", "contradicts"


@dataclass(frozen=True)
class Contrast:
    """`worse` errs more than `better`, or, where `tie`, they err alike; names as in `nets.list_models()`."""

    claim: str
    worse: str
    better: str
    tie: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, where it stands, and what would refute it."""

    says: str
    source: str
    refuted_by: str


CLAIMS = MappingProxyType(
    {
        "C1": Claim(
            "SE and attention together beat SE alone and attention alone",
            "4.2, Table 2",
            "SERAN-D errs as much as, or more than, its variant without SE or its variant without attention",
        ),
        "C2": Claim(
            "maximum pooling beats average pooling",
            "4.2, Table 2",
            "SERAN-D with average pooling errs as much, or less",
        ),
        "C3": Claim(
            "SERAN loses little against SERAN-D, with far fewer parameters",
            "4.2, Table 1",
            "SERAN's error is more than the margin above SERAN-D's",
        ),
        "C4": Claim(
            "SERAN-D is comparable with SENet-154, with fewer parameters",
            "4.2",
            "their errors differ by more than the margin",
        ),
        "C5": Claim(
            "plain ResNets need more epochs: SE and attention gain most with few iterations and little data",
            "4.2, abstract",
            "the ratio ResNet-101 / SERAN-D does not fall from few epochs to 32, or from 20 images a class to all",
        ),
        "C6": Claim(
            "without attention the network over-fits after some 20 epochs, with attention alone it does not",
            "4.2",
            "over 32 epochs the validation loss of the variant without attention does not end 5 % above its lowest, "
            "or that of the variant with attention alone does so too",
        ),
        "C7": Claim(
            "attention localises the insect",
            "3.3",
            "the masks of the trained network point to the insect no better than those of random weights (chapter 11)",
        ),
        "C8": Claim(
            "SE separates look-alike species",
            "3.2",
            "without SE the errors within groups of look-alikes do not grow by more than the other errors",
        ),
        "T1": Claim(
            "SERAN and SERAN-D beat Attention-92 and SE-ResNet-101, and all of them beat the plain ResNets",
            "4.2, Table 1",
            "one of them errs as much as, or more than, one it is said to beat",
        ),
    }
)

CONTRASTS = (
    Contrast("C1", "seran_d_no_se", "seran_d"),
    Contrast("C1", "seran_d_no_attention", "seran_d"),
    Contrast("C2", "seran_d_avg_pool", "seran_d"),
    Contrast("C3", "seran", "seran_d", tie=True),
    Contrast("C4", "seran_d", "senet154", tie=True),
    Contrast("T1", "attention92", "seran_d"),
    Contrast("T1", "se_resnet101", "seran_d"),
    Contrast("T1", "attention92", "seran"),
    Contrast("T1", "se_resnet101", "seran"),
    Contrast("T1", "resnet101", "attention92"),
    Contrast("T1", "resnet101", "se_resnet101"),
    Contrast("T1", "resnet101", "seran_d"),
    Contrast("T1", "resnet152", "seran_d"),
)

# Kinds that people confuse: mimics of another species in heliconius, the look-alikes of butterfly100's own notes.
LOOK_ALIKES = MappingProxyType(
    {
        "heliconius": (("lativitta", "malleti"), ("notabilis", "plesseni")),
        "butterfly100": (
            ("monarch", "viceroy", "straited queen"),
            ("eastern coma", "question mark"),
            ("black hairstreak", "green hairstreak", "grey hairstreak", "purple hairstreak"),
            ("beckers white", "cabbage white", "eastern dapple white", "pine white"),
            ("adonis", "chalk hill blue", "brown argus"),
            ("atlas moth", "hercules moth"),
            ("red postman", "zebra long wing", "julia", "banded orange heliconian"),
        ),
    }
)


def decide(ratio: Ratio, holm: float, *, tie: bool) -> str:
    """The verdict on a contrast, from our ratio and its p after Holm's correction (unused for a tie)."""
    if tie:
        if ratio.within(MARGIN):
            return AGREES
        return CONTRADICTS if ratio.low > MARGIN or ratio.high < 1 / MARGIN else CANNOT_TELL
    if ratio.low <= 1 <= ratio.high:
        return ALIKE if ratio.within(MARGIN) else CANNOT_TELL
    side = AGREES if ratio.low > 1 else CONTRADICTS
    return side if holm < LEVEL else f"leans: {side}"


def decide_change(ratio: Ratio | None) -> str:
    """The verdict on a claim that a ratio of ratios is above 1 (C5 and C8)."""
    return decide(ratio, ratio.p, tie=False) if ratio else NOT_RUN


def decide_size(ratio: Ratio, paper: Ratio) -> str:
    """Whether the paper's ratio lies within our interval."""
    return "possible" if ratio.low <= paper.ratio <= ratio.high else "ruled out"


def decide_overfitting(without: Sequence[float], alone: Sequence[float]) -> str:
    """C6, from the last validation loss over the lowest of each seed, without attention and with attention alone:
    agrees where all of the first over-fit and none of the second, contradicts where none of the first does, or all of
    the second do, too."""
    if min(len(without), len(alone)) < SEEDS_NEEDED:
        return NOT_RUN
    without, alone = ([rise > 1 + RISE for rise in rises] for rises in (without, alone))
    if all(without) and not any(alone):
        return AGREES
    return CONTRADICTS if not any(without) or all(alone) else CANNOT_TELL


def decide_localisation(gains: pd.DataFrame) -> str:
    """C7, from the interval (low, high) of each seed's gain: agrees where all lie above 0, contradicts where all lie
    below."""
    if len(gains) < SEEDS_NEEDED:
        return NOT_RUN
    if (gains["low"] > 0).all():
        return AGREES
    return CONTRADICTS if (gains["high"] < 0).all() else CANNOT_TELL


def decide_goal(ways: pd.DataFrame, asked: float) -> tuple[str, str]:
    """Which way is judged by a goal of chapter 12, by name, and how.

    `ways` are of one kind and have names as index, seeds, valid_error, effort, and low and high of how many times
    fewer errors than SERAN-D they make. Of those with enough seeds that were timed beside SERAN-D and took no longer,
    the one with the lowest validation error is judged: "reached" where the interval lies above what is asked, "not
    reached" where it lies below, "cannot tell" otherwise. Where none is left it is "not run", or "none in time".
    """
    run = ways[ways["seeds"] >= SEEDS_NEEDED].dropna(subset=["low", "effort"])
    in_time = run[run["effort"] <= SLACK]
    if in_time.empty:
        return "", NOT_RUN if run.empty else "none in time"
    best = in_time.loc[in_time["valid_error"].idxmin()]
    return best.name, "reached" if best["low"] > asked else "not reached" if best["high"] < asked else CANNOT_TELL
