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

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

from seran_lib import paths
from seran_lib.nets.specs import PRETRAINED
from seran_lib.train import ledger
from seran_lib.train.profiles import PROFILES, TABLE1, TABLE2
from seran_lib.train.recipes import LADDER
from seran_lib.train.settings import Settings, resolve

MARGIN = 1.15
SEEDS_NEEDED = 3
CURVE_EPOCHS = (1, 2, 4, 8, 16, 32)
CURVE_IMAGES = (5, 10, 20, 50, 0)  # at most so many training images a class; 0 means all of them
RATES = (5e-4, 1e-3, 2e-3, 4e-3)  # 5e-4 is the paper's
PINNED = "heliconius"  # rates are chosen on it, and its studies change one thing against its tables
CROPPED = f"{PINNED}-curated"  # the copy of it that chapter 02 writes, without label and ruler: not a set of its own
BEST_STEP = "start"  # the step of the ladder with the lowest validation error on heliconius
CURVES = ("seran_d", "resnet101", "seran_d_no_se", "seran_d_no_attention")
LIGHTER = "seran_d_no_attention"  # the network with the lowest validation error by the paper's recipe
LIGHTER_EPOCHS = 14  # the most that compute no more than the laptop profile's of SERAN-D
FINETUNE_EPOCHS = 3  # take about half as long on a CPU as 8 epochs of SERAN-D by the paper's recipe


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


@dataclass(frozen=True)
class Study:
    """A set of runs with one question. Empty and zero values mean the profile's own, as in `settings.resolve`.

    `pairs` are (epochs, images per class). `sets` names the data sets the study is meant for, `recipes` names of
    `recipes.RECIPES`. With `tuned` each model has the learning rate that the study "rates" found best for it. What
    `extends` another study counts as runs of that one, too.
    """

    asks: str
    sets: tuple[str, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    pairs: tuple[tuple[int, int], ...] = ((0, 0),)
    rates: tuple[float, ...] = (0.0,)
    recipes: tuple[str, ...] = ("paper",)
    wiring: str = "paper"
    init: str = ""
    tuned: bool = False
    extends: str = ""

    def planned(self, profile: str) -> list[tuple[int, int]]:
        """The study's pairs of (epochs, images per class), with the profile's epochs where they are its own."""
        return [(epochs or PROFILES[profile].epochs, images) for epochs, images in self.pairs]

    def runs(self, profile: str, data: str) -> Iterator[Settings]:
        """The study's runs on one data set, seed by seed, so that what is finished first can be compared first.

        Any study can be done on a set that is none of the book's. Raises ValueError where the study is not meant for
        one that is, or rests on runs that are not in the ledger yet.
        """
        choices = product(self.seeds, self.pairs, self.rates, self.recipes, self.models)
        for seed, (epochs, images), lr, recipe, model in choices:
            settings = resolve(
                profile,
                data=data,
                seed=seed,
                epochs=epochs,
                model=model,
                wiring=self.wiring,
                init=self.init,
                lr=best_rate(profile, model) if self.tuned else lr,
                recipe=recipe,
                images_per_class=images,
            )
            if settings.data_name in {*BOTH, CROPPED} - set(self.sets):
                raise ValueError(f"{self.asks}: planned for {' and '.join(self.sets)}, not for {settings.data_name}")
            yield settings


def best_rate(profile: str, model: str) -> float:
    """The learning rate with the lowest validation error in the study "rates"; of equals, the smaller.

    Raises ValueError where its runs are not in the ledger yet.
    """
    rows = ledger.read(paths.results())
    rows = rows[(rows["profile"] == profile) & (rows["data"] == PINNED) & (rows["model"] == model)]
    rows = rows[(rows["seed"] == 0) & (rows["epochs"] == PROFILES[profile].epochs)]
    rows = rows[(rows["recipe"] == "paper") & (rows["wiring"] == "paper") & (rows["images_per_class"] == 0)]
    for name in ("init", "width", "size"):
        rows = rows[rows[name] == getattr(PROFILES[profile], name)]
    rows = rows[rows["lr"].isin(RATES)]
    if len(rows) < len(RATES):
        raise ValueError(f"the learning rate of {model} is not chosen yet: run the study rates on {PINNED} first")
    return float(rows.sort_values(["valid_top1_error", "lr"])["lr"].iloc[0])


BOTH = ("butterfly100", PINNED)
STUDIES = MappingProxyType(
    {  # in the order of their worth: what is not run in the end stands last
        "tables": Study("Tables 1 and 2", BOTH, (*TABLE1, *TABLE2)),
        "wiring": Study("attention masks wired as in common ports", (PINNED,), ("seran_d", "attention92"),
                        wiring="port"),
        "start": Study("residual branches that start at zero", (PINNED,),
                       ("resnet101", "se_resnet101", "seran_d", "seran_d_no_se", "seran_d_no_attention"), init="zero"),
        "cropped": Study("photographs cropped so that no label shows", (CROPPED,), ("seran_d",)),
        "long": Study("many iterations", (PINNED,), CURVES, pairs=((32, 0),)),
        "rates": Study("the same budget of learning rates for every model", (PINNED,), (*TABLE1, *TABLE2),
                       seeds=(0,), rates=RATES),
        "few_images": Study("little data, the same number of steps", (PINNED,), CURVES[:2], pairs=((0, 20),)),
        "epochs": Study("the error over the number of epochs", (PINNED,), CURVES[:2], seeds=(0,),
                        pairs=tuple((epochs, 0) for epochs in CURVE_EPOCHS)),
        "images": Study("the error over images per class", (PINNED,), CURVES[:2], seeds=(0,),
                        pairs=tuple((0, images) for images in CURVE_IMAGES)),
        "more_seeds": Study("SERAN-D and its closest rivals, two seeds more", (PINNED,),
                            ("seran_d", "senet154", "seran_d_no_attention"), seeds=(3, 4), extends="tables"),
        "tuned": Study("Tables 1 and 2, each network with its own best learning rate", (PINNED,), (*TABLE1, *TABLE2),
                       tuned=True),
        "carried": Study("the rates that were chosen on pinned insects, in the field", ("butterfly100",), CURVES,
                         seeds=(0,), tuned=True),
        "frozen": Study("a linear classifier on pretrained features", BOTH, PRETRAINED, pairs=((1, 0),),
                        recipes=("frozen",)),
        "ladder": Study("a better recipe, step by step", (PINNED,), ("seran_d",), recipes=tuple(LADDER)[1:]),
        "best_step": Study("the ladder's best step on field photographs", ("butterfly100",), ("seran_d",),
                           recipes=(BEST_STEP,)),
        "lighter": Study("the same step on the network with the lowest validation error, as long as SERAN-D trains",
                         ("butterfly100",), (LIGHTER,), pairs=((LIGHTER_EPOCHS, 0),), recipes=(BEST_STEP,)),
        "finetune": Study("pretrained weights trained further", BOTH, PRETRAINED, pairs=((FINETUNE_EPOCHS, 0),),
                          recipes=("finetune",)),
    }
)  # fmt: skip
