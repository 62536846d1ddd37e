"""The facts of the SERAN paper as data, and nothing else.

Park, Tuxworth and Zhou, "Insect Classification Using Squeeze-and-Excitation and Attention Modules - a Benchmark Study",
ICIP 2019, doi:10.1109/icip.2019.8803746. Every entry names the section it was read from. Rates are errors in per cent
as printed. How the oddities were found is shown in chapter 03 (`notebooks/03_read_the_paper.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd


@dataclass(frozen=True)
class Fact:
    """One stated value. `section` is where the paper states it, `note` how to read it."""

    value: int | float | str
    section: str
    note: str


FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        "species_with_images": Fact(16_396, "2", "species of insects with image addresses in the atlas, October 2018"),
        "species_downloaded": Fact(200, "2", "the species with the most occurrences among those"),
        "images_downloaded": Fact(34_789, "2", "before pictures without a specific insect were removed"),
        "images_kept": Fact(34_525, "2", "after that removal"),
        "species_kept": Fact(123, "2", "classes; the label is the record's species field"),
        "top_species_share": Fact(0.04, "2", "the largest species holds more than this share of the training images"),
        "train_share": Fact(0.70, "4.1", "of each species"),
        "valid_share": Fact(0.15, "4.1", "of each species"),
        "test_share": Fact(0.15, "4.1", "of each species"),
        "train_images": Fact(24_287, "4.1", "as printed"),
        "valid_images": Fact(5_119, "4.1", "as printed"),
        "test_images": Fact(5_119, "4.1", "as printed"),
        "input_size": Fact(224, "4.1", "pixels a side, by random cropping or padding"),
        "augmentation": Fact("horizontal or vertical flip, lighting, zoom", "4.1", "no strengths given"),
        "optimiser": Fact("AdamW", "4.1", "no betas given"),
        "weight_decay": Fact(0.01, "4.1", "all networks"),
        "learning_rate": Fact(5e-4, "4.1", "called the initial one; no schedule given"),
        "library": Fact("PyTorch, fast.ai version 1", "4.1", "no version numbers below that"),
        "gpu": Fact("one Titan P100", "4.1", "no such card exists; the P100 was sold as a Tesla"),
        "machine": Fact("Google Cloud standard, 8 vCPUs, 30 GB", "4.1", ""),
        "se_modules_seran_d": Fact(10, "4.2", "last paragraph"),
        "attention_modules_seran_d": Fact(4, "4.2", "last paragraph"),
        "se_modules_seran": Fact(4, "4.2", "six fewer than SERAN-D, also in the last row of Table 2"),
        "attention_modules_seran": Fact(3, "4.2", "one fewer than SERAN-D, also in the last row of Table 2"),
        "stem_convolutions": Fact(3, "3.1", "3x3 kernels in place of one 7x7 kernel"),
        "parameters_below_senet154": Fact(2.16e7, "4.2", "SERAN-D has this many fewer than SENet-154"),
        "parameters_below_seran_d": Fact(2.87e7, "4.2", "SERAN has this many fewer than SERAN-D"),
        "overfitting_after_epoch": Fact(20, "4.2", "seen in the variant without attention, so it ran longer than this"),
    }
)


@dataclass(frozen=True)
class Row:
    """One row of a table: top-1 and top-5 error in per cent on validation and test, None where none is given."""

    model: str
    printed: str
    source: str
    valid_top1: float | None
    valid_top5: float | None
    test_top1: float | None = None
    test_top5: float | None = None


TABLE1: tuple[Row, ...] = (
    Row("resnet101", "ResNet-101", "Table 1", 25.18, 8.63, 24.64, 8.48),
    Row("resnet152", "ResNet-152", "Table 1", 28.36, 9.98, 28.70, 10.49),
    Row("attention92", "Attention-92 (RAN)", "Table 1", 17.25, 5.14, 18.89, 5.74),
    Row("se_resnet101", "SE-Resnet-101", "Table 1", 18.52, 5.72, 17.37, 6.23),
    Row("seran", "SERAN", "Table 1", 15.78, 4.77, 15.28, 4.53),
    Row("seran_d", "SERAN-D", "Table 1", 13.24, 3.82, 13.58, 4.04),
    # The text gives this pair without naming the set. It is filed under test because the sentence before it, and the
    # word "comparable", speak of test errors; chapter 03 shows that the digits agree.
    Row("senet154", "SENet-154", "section 4.2", None, None, 13.33, 3.99),
)

TABLE2: tuple[Row, ...] = (
    Row("seran_d", "SERAN-D with Max pooling", "Table 2", 13.24, 3.82),
    Row("seran_d_avg_pool", "SERAN-D with AVG pooling", "Table 2", 15.84, 4.65),
    Row("seran_d_no_se", "SERAN-D RAN only", "Table 2", 19.65, 5.72),
    Row("seran_d_no_attention", "SERAN-D SE only", "Table 2", 16.06, 4.74),
    Row("seran", "SERAN", "Table 2", 15.78, 4.77),
)


@dataclass(frozen=True)
class Claim:
    """A difference that the text of section 4.2 states: `worse` minus `better`, in points.

    `better` and `worse` are the table rows that the sentence names, which need not be the rows that give the numbers.
    """

    says: str
    table: int
    part: str
    better: str
    worse: str
    top1: float
    top5: float


CLAIMS: tuple[Claim, ...] = (
    Claim("SERAN-D errs less than Attention-92", 1, "test", "seran_d", "attention92", 5.31, 1.70),
    Claim("SERAN-D errs less than SE-ResNet-101", 1, "test", "seran_d", "se_resnet101", 3.79, 2.19),
    Claim(
        "without SE, SERAN-D declines against the model with attention only",
        2,
        "valid",
        "seran_d_no_se",
        "seran_d_no_se",
        3.59,
        0.98,
    ),
)


@dataclass(frozen=True)
class Oddity:
    """Something in the paper that does not add up, or that two readers would take in two ways."""

    section: str
    what: str


ODDITIES: tuple[Oddity, ...] = (
    Oddity(
        "4.2",
        "The loss without SE blocks, 3.59 and 0.98 points, is measured against 'the model with Attention module only', "
        "which is that same model. The numbers are Table 2's RAN-only row minus its SE-only row; against SERAN-D "
        "itself the loss is 6.41 and 1.90 points.",
    ),
    Oddity("4.2", "Differences between two error rates are called per cent; they are percentage points."),
    Oddity("4.2", "The set behind SENet-154's 13.33 and 3.99 is not named."),
    Oddity(
        "4.1",
        "A test set of 5,119 images cannot give 24.64 (ResNet-101) or 13.33 (SENet-154); one of 5,118 gives all quoted "
        "test rates.",
    ),
    Oddity(
        "4.1",
        "A validation set of 5,119 images cannot give 3.82 (SERAN-D, top-5) or 4.74 (SE only, top-5); it gives the "
        "other 16 validation rates.",
    ),
    Oddity("2", "200 species became 123, yet only 264 images were removed: 77 species for 264 images."),
    Oddity("4.1", "There is no Titan P100; the card with that chip is the Tesla P100."),
    Oddity(
        "4.2",
        "On validation Attention-92 is ahead of SE-ResNet-101 (17.25 to 18.52), on test it is behind (18.89 to 17.37).",
    ),
)

NOT_STATED: tuple[tuple[str, str], ...] = (
    ("epochs", "only 'a limited number'; more than 20 for at least one variant"),
    ("batch size", "nothing"),
    ("learning-rate schedule", "an initial rate, no shape and no end"),
    ("dropout", "named as used, no rate and no place"),
    ("layer layout", "the text gives no widths or repeats; its Figure 2 was not available to us"),
    ("pooling inside attention", "maximum or average, compared in Table 2; kernel sizes not given"),
    ("normalising mean and deviation", "a standard practice, no numbers"),
    ("strength of augmentation", "the kinds only"),
    ("images per species", "the largest share only"),
    ("choice of the epoch reported", "nothing; it could be the last or the best on validation"),
    ("repeats", "one number a cell, no seeds and no interval"),
    ("data and code", "no address"),
)


def _frame(rows: tuple[Row, ...], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([vars(row) for row in rows]).set_index("model")
    return frame[["printed", *columns, "source"]].astype(dict.fromkeys(columns, float))


def table1() -> pd.DataFrame:
    """Table 1, a row per model of `seran_lib.nets`, errors in per cent; SENet-154 from the text has no validation pair.

    Columns: printed, valid_top1, valid_top5, test_top1, test_top5, source.
    """
    return _frame(TABLE1, ["valid_top1", "valid_top5", "test_top1", "test_top5"])


def table2() -> pd.DataFrame:
    """Table 2, the ablations on the validation set, in per cent. Columns: printed, valid_top1, valid_top5, source."""
    return _frame(TABLE2, ["valid_top1", "valid_top5"])
