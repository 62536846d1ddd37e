"""What is to be found out, with which runs, and what will count as an answer: written down before the runs.

Every claim of the paper has a contrast that could refute it, and the rule that decides is fixed here. The chapters 09
and 10 read this page and the ledger, and nothing else. Known when it was written were the one-seed rows of 5, 10 and
12 epochs in the ledger; they count for no claim.

**Runs.** `laptop` scale (x1/4 width, 96 px, batch 32), 8 epochs, highest learning rate 1e-3, plain start, on two sets
of photographs: butterfly100 (100 kinds in the field, 1,785 test images, the main set) and heliconius (13 kinds of
pinned wings, 477 test images). A seed decides the split, the first weights, the order of the images, their
augmentation and the dropout; all models of one seed share the split and the order. Images of one animal or one
near-duplicate cluster stay in one part. The last epoch counts. Nothing is chosen by test images: learning rates are
chosen by the validation images of seed 0 of heliconius.

**Metric.** Top-1 test error. Errors differ in level from set to set, so models are compared by the *ratio* of their
errors, on the logarithm of (wrong + 1/2) / (n + 1). The paper's ratios have intervals too, from its 5,118 test or
5,119 validation images; they know nothing of seeds.

**Model of the noise.** A block design: log error = model + seed + rest, by least squares over all models of a study on
one set. The rest is what seeds and test images do to a difference between two models, pooled over all models, so that
three seeds suffice for a usable interval. McNemar's test on the paired predictions of each seed stands beside it: what
a reader of one run would have said.

**Decision.** For a contrast "A errs more than B", with the 95 % interval of the ratio A / B: *agrees* where the
interval lies above 1 and Holm's p over all contrasts of its set is below 0.05; *contradicts* where the same holds below
1; *leans* to a side where the interval excludes 1 but Holm's p does not suffice; *cannot tell* otherwise. The paper's
size is *possible* where its ratio lies within our interval, else *ruled out*. For a contrast "A errs as much as B" a
margin of 15 % of the error is a tie (the paper's own SERAN-D would have two points): *agrees* where the 90 % interval
lies within 1/1.15 to 1.15 (two one-sided tests), *contradicts* where the 95 % interval lies outside, *cannot tell*
otherwise. With fewer than three seeds of both models a contrast is *not run*. C5 and C8 are claims that a ratio of
ratios is above 1, and decided like a contrast by their own p. C6 looks at each seed of the long runs: it *agrees* where
the variant without attention over-fits in all and the one with attention alone in none, *contradicts* where the first
over-fits in none or the second in all. C7 *agrees* where the gain of the trained masks has an interval above 0 in every
seed, *contradicts* where it lies below in every seed. Else both *cannot tell*.

**Amended**, each before the results it concerns were known. The ladder's strong views come last: see `recipes.py`.
Chapter 12 compares times on one kind of device only. Some runs are in float32, on CPUs that only emulate bfloat16; the
ledger names the precision of each. Rounding moves a single run as another seed would, so it is part of the noise. The
study "cropped" was added.

The first plan would have taken two cores several times as long as anybody waits, and was cut. Both sets have the
tables and transfer; all else is for heliconius, but for the one step of the ladder that has the lowest validation
error there, which is tried on butterfly100, too. "tuned" is of four networks, the ladder of SERAN-D alone, and
"same_time" is gone: chapter 12 judges only what takes about as long as the paper's recipe. With few images a class, an
epoch repeats them until it has as many steps as one of all images. The study "start" was widened by the two networks
of C1: such a start had taken away more of the error than any module of the paper, so the claim is tried with it, too.
"lighter" was added when the first seed of "best_step" had made chapter 12's goal on butterfly100 unlikely for SERAN-D:
its variant without attention has the lowest validation error on both sets so far and takes half the computation, so it
gets the same step, for as many epochs as compute no more than SERAN-D's.

**Amended afterwards**, with its first two runs known: the seeds of "more_seeds" enter wherever those of "tables" do.
That was the purpose of the study, and had not been said. The first of them, seed 3, speaks for attention (C1), against
the three seeds before. A contrast is the mean over the seeds that both its models have, which is what least squares
give where all have the same; so the seeds of some models move no estimate of
others, though the noise that all share, and with it intervals and p, may change.

The contrasts of the plain ResNets with SERAN-D counted for C5, which they cannot refute, and count for T1 now. Holm's
correction counts contrasts that are not run as p = 1, so that a verdict does not change with what is missing: without
attention against SERAN-D on butterfly100 went from *contradicts* to *leans* (more runs made it *contradicts* again).
Where a contrast cannot be told and the 90 % interval lies within the margin, it is *alike*. C6 and C7 were decided by
means, and by the absence of a gain; the rules above, that ask every seed, are older than the runs of C6 and leave the
verdict on C7 as it was. The interval of C7's gain knew the images alone, and holds the choice of random weights as well
now, which changed no verdict. *Alike* refutes a difference of more than the margin, and no smaller one. No interval of
a contrast is shorter now than the choice of test images makes it; that of networks with few errors was, as after a zero
start. Nor is one of chapter 12's. This changed no verdict.

The study "tuned" is of all networks of both tables again. When this was written, seed 0 was known at the rate of the
tables and at the highest for all of them, and the three seeds of the first four: most err several times less at the
highest rate, and their order comes nearer to that of the paper's Table 1. Its contrasts are decided by the rule above,
with Holm's correction over all of them; they stand beside those of the tables and replace none.

The study "carried" was added with "tuned" complete and before any run of its own. It takes the four networks of C1 and
C5 to butterfly100, each with the rate that was chosen for it on heliconius, and asks whether the rate of the tables is
as far from their best in the field. It has one seed, which decides no claim.
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
