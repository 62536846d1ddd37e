"""What better recipes and pretrained weights reached, from the ledger, and whether that is the goal.

The goal, written down before the ladder was run: on every set of photographs, after training no longer than SERAN-D as
in the paper, less than half its test error from random weights and less than a quarter with pretrained ones. Times are
compared with SERAN-D's on the same kind of device and in the same precision only, and "no longer" allows for the
unsteadiness of clocks (`SLACK`). Which way is judged is decided by validation images; the rest follows
`protocol.py`: errors are compared by their ratio, in a block design over seeds, and McNemar's test stands beside it.
"""

from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from seran_lib.analysis.cells import ratio_text
from seran_lib.analysis.protocol import GOALS, SEEDS_NEEDED, Contrast, decide_goal
from seran_lib.analysis.ratios import block_design, shared_seeds
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import STUDIES
from seran_lib.analysis.verdicts import corrected_tests, error_ratio
from seran_lib.train.profiles import PROFILES
from seran_lib.train.recipes import TRANSFER

NUMBERS = ["times", "low", "high", "own_low", "own_high", "effort"]
WAYS_OF = ("ladder", "lighter", "frozen", "finetune")  # studies
# The kinds of butterfly100 that fall under one of ImageNet's butterfly classes: red admiral, monarch, cabbage white,
# sulphurs (Coliadinae) and lycaenids. None of its kinds is a ringlet.
IN_IMAGENET = (
    "red admiral", "monarch", "cabbage white", "clouded sulphur", "cleopatra", "sleepy orange", "southern dogface",
    "adonis", "atala", "black hairstreak", "brown argus", "chalk hill blue", "eastern pine elfin", "elbowed pierrot",
    "glittering sapphire", "green hairstreak", "grey hairstreak", "purple hairstreak", "purplish copper",
)  # fmt: skip


class Way(NamedTuple):
    """A network, a recipe and a number of epochs; 0 for the profile's own."""

    model: str
    recipe: str
    epochs: int = 0

    @property
    def name(self) -> str:
        """As tables and figures call it; epochs only where they are not the profile's."""
        longer = f", {self.epochs} epochs" if self.epochs and self.recipe != "frozen" else ""
        return f"{self.model}, {self.recipe}{longer}"

    @property
    def kind(self) -> str:
        """Which of the `GOALS` it is for."""
        return list(GOALS)[self.recipe in TRANSFER]


def ways() -> list[Way]:
    """All that the chapter compares: SERAN-D as in the paper, its ladder, a lighter network, then transfer."""
    found = [Way("seran_d", "paper")]
    for study in (STUDIES[name] for name in WAYS_OF):
        chosen = product(study.models, study.recipes, study.pairs)
        found += [Way(model, recipe, epochs) for model, recipe, (epochs, _) in chosen]
    return found


BASE = ways()[0]
# Whose seconds are "as long as SERAN-D trains": start and weight decay change nothing of what a step computes.
AS_LONG = tuple(BASE._replace(recipe=recipe).name for recipe in ("paper", "start"))


def way_rows(evidence: Evidence, data: str) -> pd.DataFrame:
    """The ledger's rows of these ways on one data set, `model` being the way's name; `wrong` and `n` count test images.

    The order is that of `ways()`, then by seed.
    """
    rows = pd.concat([evidence.study(study, data) for study in ("tables", *WAYS_OF)], ignore_index=True)
    epochs = rows["epochs"].where(rows["epochs"] != PROFILES[evidence.profile].epochs, 0)
    names = [Way(*way).name for way in zip(rows["model"], rows["recipe"], epochs, strict=True)]
    place = {way.name: place for place, way in enumerate(ways())}
    rows = rows.assign(model=names).loc[[name in place for name in names]]
    rows = rows.sort_values("seed", kind="stable")
    return rows.sort_values("model", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def comparison(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """One row a way, in order: seeds, error and its standard deviation over seeds, valid_error, macro (percent),
    time of training as a multiple of SERAN-D's (effort), and SERAN-D's error as a multiple of this one's (times) with
    its 95 % interval by the noise of all ways (low, high) and by that of these two (own_low, own_high).

    The effort is missing where SERAN-D was not trained on such a device. The multiple of the error is missing where
    either has not been run, and its intervals where both share fewer than three seeds.
    """
    alike = ["device", "precision"]
    as_long = rows[rows["model"].isin(AS_LONG)].groupby(alike)["seconds"].mean().rename("as_long")
    rows = rows.join(as_long, on=alike)
    table = rows.assign(effort=rows["seconds"] / rows["as_long"]).groupby("model").agg(
        seeds=("seed", "nunique"), error=("test_top1_error", "mean"), sd=("test_top1_error", "std"),
        valid_error=("valid_top1_error", "mean"), macro=("test_macro_error", "mean"), effort=("effort", "mean"),
    )  # fmt: skip
    table = table.reindex([way.name for way in ways()]).rename_axis("way")
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    table["times"] = table["error"].get(BASE.name) / table["error"]
    table[["low", "high", "own_low", "own_high"]] = np.nan
    run = rows["model"].unique()
    if BASE.name in run and len(run) > 1 and (design := block_design(rows)):
        for name in [name for name in run if name != BASE.name]:
            if seeds := shared_seeds(rows, (BASE.name, name)):
                ratio = error_ratio(evidence, design, rows, Contrast("goal", BASE.name, name))
                table.loc[name, "times"] = ratio.ratio
            if seeds >= SEEDS_NEEDED:
                table.loc[name, ["low", "high"]] = ratio.low, ratio.high
                table.loc[name, ["own_low", "own_high"]] = design.ratio_by_own_seeds(BASE.name, name)[1:]
    return table


def between(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """Ratios of errors of every two ways, SERAN-D as in the paper apart, that share three seeds or more, with their
    95 % intervals: one column, a row a pair."""
    design, pairs = block_design(rows), combinations([way.name for way in ways()[1:]], 2)
    pairs = [Contrast("", *pair) for pair in pairs if shared_seeds(rows, pair) >= SEEDS_NEEDED]
    ratios = [ratio_text(error_ratio(evidence, design, rows, pair)) for pair in pairs]
    return pd.DataFrame({"ratio": ratios}, index=[f"{pair.worse} / {pair.better}" for pair in pairs])


def goal_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row a goal: the way of its kind that is judged, its multiple with interval, what is asked, and the verdict,
    all by `protocol.decide_goal`."""
    kinds = pd.Series({way.name: way.kind for way in ways()})
    verdicts = {}
    for goal, asked in GOALS.items():
        judged, verdict = decide_goal(table[kinds[table.index] == goal], asked)
        numbers = table.loc[judged, NUMBERS].to_dict() if judged else {}
        verdicts[goal] = {"judged": judged, "asked": asked, **numbers, "verdict": verdict}
    columns = ["judged", "asked", *NUMBERS, "verdict"]
    return pd.DataFrame.from_dict(verdicts, orient="index").reindex(columns=columns).rename_axis("goal")


def paired(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """McNemar's test of SERAN-D as in the paper against every other way: see `verdicts.corrected_tests`."""
    others = [way.name for way in ways()[1:]]
    return corrected_tests(evidence, rows, [Contrast("goal", BASE.name, name) for name in others])


def errors_by_familiarity(answers: pd.DataFrame) -> pd.DataFrame:
    """Test errors of every way on butterfly100, all seeds together, in percent: on species that fall under
    one of ImageNet's butterfly classes, and on all others. `answers` are of `way_rows`. A row a way, with the number
    of answers in either."""
    kind = np.where(answers["label"].isin(IN_IMAGENET), "in ImageNet", "other kinds")
    shares = 100 * (1 - answers.groupby(["model", kind])["right"].mean().unstack())
    counts = answers.groupby(["model", kind]).size().unstack().add_prefix("answers, ")
    names = [way.name for way in ways() if way.name in shares.index]
    return shares.join(counts).loc[names].rename_axis("way")
