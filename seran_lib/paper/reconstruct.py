"""Which layout of Figure 2 fits the numbers the paper quotes? An exhaustive search of a declared family.

The paper draws its network but prints no layout. It prints two differences in parameters (§4.2), the numbers of SE
and attention modules, and a description in prose (§3.1). Here every layout of `Family` is counted by formula, those
that meet both differences to the three digits quoted are listed, and `choose` picks one by stated principles.

Whether unused weights were counted matters: the PyTorch port of the residual attention network that was public in
2018 gives every residual unit a 1x1 shortcut convolution and calls it only where the shape changes. A parameter count
of such a model includes weights that never see an image. No network of this library owns such weights.

`WIDER` asks what else would fit: SERAN may lack residual blocks that the paper does not name, and SENet-154 may have
been counted with another classifier. `null_test` says how little a single hit means.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product

import numpy as np
import pandas as pd

from seran_lib.nets.network import STAGE_CHANNELS
from seran_lib.nets.specs import Layout

SENET154_BODY = 115_088_984 - (2048 + 1) * 1000  # SENet-154 without its classifier for 1000 classes
CLASSES = 123  # paper §2
SENET154_MINUS_SERAN_D = 2.16e7  # paper §4.2
SERAN_D_MINUS_SERAN = 2.87e7  # paper §4.2
ROUNDING = 0.005e7  # half a unit of the third digit

# Classifiers that SENet-154 may have been counted with: weights and biases. fast.ai v1 puts two layers, each behind a
# batch normalisation, on the concatenated mean and maximum (its `create_head`).
HEADS = {
    "123 classes": 2049 * CLASSES,
    "1000 classes": 2049 * 1000,
    "fast.ai": 2 * 4096 + 4097 * 512 + 2 * 512 + 513 * CLASSES,
}

# Who owns an unused 1x1 shortcut: nobody; the residual units (plain and inside attention modules); the SE units too.
UNUSED = ("none", "residual units", "every unit")


@dataclass(frozen=True)
class Family:
    """The declared search space. Numbers per stage are for stages 1 to 4 (attention: 1 to 3, stage 4 can not pool).

    `plain` is how many residual blocks a stage may hold beyond the one that opens it, `plain_removed` how many of them
    SERAN lacks in all: the paper names none. `heads` are classifiers in the count of SENet-154 (`HEADS`).
    """

    se: int = 10
    attention: int = 4
    se_removed: int = 6
    last_se: int = 2
    plain: tuple[int, ...] = (0, 1, 2, 3)
    plain_removed: tuple[int, ...] = (0,)
    p: tuple[int, ...] = (1, 2)
    t: tuple[int, ...] = (1, 2, 3)
    r: tuple[int, ...] = (1, 2)
    reduction: tuple[int, ...] = (8, 16, 32)
    stems: tuple[tuple[int, int, int], ...] = ((32, 32, 64), (64, 64, 64), (64, 64, 128))
    unused: tuple[str, ...] = UNUSED
    heads: tuple[str, ...] = ("123 classes", "1000 classes")


# The modules as published, in more layouts than the paper's words allow: SERAN also lacks up to two residual blocks, a
# stage holds up to five of them, and SENet-154 may have been counted with fast.ai's classifier.
WIDER = Family(
    p=(1,), t=(2,), r=(1,), reduction=(16,), plain=(0, 1, 2, 3, 4, 5), plain_removed=(0, 1, 2), heads=tuple(HEADS)
)


def unit_parameters(in_channels: int, out_channels: int, unused: bool) -> int:
    """Weights of one pre-activation bottleneck, with its shortcut where the shape changes, or where it is unused."""
    middle = out_channels // 4
    count = in_channels * middle + 9 * middle**2 + middle * out_channels + 2 * (in_channels + 2 * middle)
    return count + in_channels * out_channels * (unused or in_channels != out_channels)


def se_parameters(channels: int, reduction: int) -> int:
    """Weights of the two 1x1 convolutions of a squeeze-and-excitation, biases included."""
    middle = channels // reduction
    return 2 * channels * middle + middle + channels


def attention_parameters(stage: int, p: int, t: int, r: int, unused: bool) -> int:
    """Weights of an attention module in stage 1, 2 or 3, whose mask pools 3, 2 or 1 times."""
    channels, levels = STAGE_CHANNELS[stage - 1], 3 - stage
    units = 2 * p + t + 2 * r + levels * (2 * r + 1)
    return units * unit_parameters(channels, channels, unused) + 2 * channels**2 + 4 * channels


def body_parameters(
    se: tuple[int, ...],
    attention: tuple[int, ...],
    plain: tuple[int, ...],
    *,
    stem: tuple[int, int, int] = (64, 64, 128),
    units: tuple[int, int, int] = (1, 2, 1),
    reduction: int = 16,
    unused: str = "none",
) -> int:
    """Weights of a network without its classifier, given modules per stage; `unused` is one of `UNUSED`.

    `se` and `plain` have four entries, `attention` three, `stem` holds the widths of the three 3x3 convolutions,
    and `units` the p, t and r of an attention module.
    """
    a, b, c = stem
    count = 27 * a + 9 * (a * b + b * c) + 2 * (a + b + c)
    in_channels = c
    for stage, channels in enumerate(STAGE_CHANNELS, 1):
        count += unit_parameters(in_channels, channels, unused=False)
        count += plain[stage - 1] * unit_parameters(channels, channels, unused != "none")
        se_unit = unit_parameters(channels, channels, unused == "every unit") + se_parameters(channels, reduction)
        count += se[stage - 1] * se_unit
        if stage <= 3:
            count += attention[stage - 1] * attention_parameters(stage, *units, unused != "none")
        in_channels = channels
    return count + 2 * in_channels


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` numbers >= 0."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


@cache
def removals(family: Family) -> list[tuple[tuple[int, ...], int, tuple[int, ...]]]:
    """What SERAN may lack: attention per stage of SERAN-D, the stage that loses one, SE modules lost per stage."""
    return [
        (attention, stage, lost)
        for attention in compositions(family.attention, 3)
        for stage in (1, 2, 3)
        if attention[stage - 1]
        for lost in compositions(family.se_removed, 4)
    ]


def kept_se(family: Family) -> list[tuple[int, ...]]:
    """SE modules per stage that SERAN may keep; the "last two layers of SE modules" (§3.1) stay in stage 4."""
    total = family.se - family.se_removed
    return [kept for kept in compositions(total, 4) if kept[3] >= family.last_se]


def plain_removals(family: Family) -> list[tuple[int, ...]]:
    """Residual blocks per stage that SERAN may lack."""
    return [lost for total in family.plain_removed for lost in compositions(total, 4)]


def ways_of_counting(family: Family) -> Iterator[dict[str, object]]:
    """Every way to build and count a module: `unused`, p, t, r and reduction."""
    names = ("unused", "p", "t", "r", "reduction")
    for values in product(*(getattr(family, name) for name in names)):
        yield dict(zip(names, values, strict=True))


def family_size(family: Family) -> int:
    """How many pairs (SERAN-D, SERAN, way of counting) the family holds."""
    ways = sum(1 for _ in ways_of_counting(family)) * len(family.stems) * len(family.heads)
    plain = np.array(list(product(family.plain, repeat=4)))
    pairs_of_plain = sum(int((plain >= lost).all(axis=1).sum()) for lost in plain_removals(family))
    return ways * len(removals(family)) * len(kept_se(family)) * pairs_of_plain


def unit_costs(how: dict[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """Weights of one SE unit and of one residual block in each of the four stages, counted in that way."""
    unused, reduction = how["unused"], how["reduction"]
    se = [unit_parameters(c, c, unused == "every unit") + se_parameters(c, reduction) for c in STAGE_CHANNELS]
    return np.array(se), np.array([unit_parameters(c, c, unused != "none") for c in STAGE_CHANNELS])


def seran_gaps(family: Family, how: dict[str, object]) -> np.ndarray:
    """Every difference between SERAN-D and SERAN that a way of counting allows, (`removals`, `plain_removals`)."""
    se, plain = unit_costs(how)
    modules = [attention_parameters(k, how["p"], how["t"], how["r"], how["unused"] != "none") for k in (1, 2, 3)]
    _, stages, lost = (np.array(part) for part in zip(*removals(family), strict=True))
    return (np.array(modules)[stages - 1] + lost @ se)[:, None] + np.array(plain_removals(family)) @ plain


def search(family: Family | None = None) -> pd.DataFrame:
    """Every member of the family that meets both quoted differences, one row each.

    Columns: unused, p, t, r, reduction, stem, head (of SENet-154), attention, removed_from (stage), se, seran_se,
    plain, lost (SE), plain_lost, counted (SERAN-D as the paper would have counted it, with its classifier),
    gap_senet154, gap_seran.
    """
    family = family or Family()
    plains = np.array(list(product(family.plain, repeat=4)))
    lost_plain, rows = plain_removals(family), []
    for how in ways_of_counting(family):
        plain_cost = plains @ unit_costs(how)[1]
        gaps = seran_gaps(family, how)
        for which, number in np.argwhere(np.abs(gaps - SERAN_D_MINUS_SERAN) < ROUNDING):
            attention, stage, lost = removals(family)[which]
            lacks = {"attention": attention, "removed_from": stage, "lost": lost, "plain_lost": lost_plain[number]}
            long_enough = (plains >= lacks["plain_lost"]).all(axis=1)
            for kept, stem in product(kept_se(family), family.stems):
                se = tuple(np.add(kept, lost).tolist())
                counting = {"units": (how["p"], how["t"], how["r"]), "reduction": how["reduction"]}
                counting |= {"stem": stem, "unused": how["unused"]}
                body = body_parameters(se, lacks["attention"], (0, 0, 0, 0), **counting)
                counted = body + HEADS["123 classes"] + plain_cost
                for head in family.heads:
                    gap = SENET154_BODY + HEADS[head] - counted
                    for index in np.flatnonzero(long_enough & (np.abs(gap - SENET154_MINUS_SERAN_D) < ROUNDING)):
                        found = {"stem": stem, "head": head, "se": se, "seran_se": kept}
                        found["gap_seran"] = int(gaps[which, number])
                        found |= {"plain": tuple(plains[index].tolist()), "counted": int(counted[index])}
                        rows.append(how | lacks | found | {"gap_senet154": int(gap[index])})
    return pd.DataFrame(rows)


def null_test(family: Family, low: float = 2e7, high: float = 4e7) -> pd.Series:
    """How often a way of counting would "explain" an arbitrary difference between SERAN-D and SERAN.

    Of all numbers from `low` to `high` with three digits, as the paper prints one, the share that some layout of the
    family meets, by who owns unused weights. A way that meets two fifths of them is hardly confirmed by meeting one.
    """
    targets = np.arange(round(low / 1e5), round(high / 1e5) + 1) * 1e5
    shares = {}
    for unused in family.unused:
        ways = ways_of_counting(replace(family, unused=(unused,)))
        gaps = np.unique([seran_gaps(family, how) for how in ways])
        shares[unused] = np.mean([(np.abs(gaps - target) < ROUNDING).any() for target in targets])
    return pd.Series(shares, name="targets met")


def principles(hits: pd.DataFrame) -> dict[str, pd.Series]:
    """The stated principles, each a mask over the hits. They come from the prose and from the two papers it cites.

    That SE and attention alternate is asked of SERAN-D alone: SERAN has two SE modules left for stages 1 to 3.
    """
    alternated, seran_attention = [], []
    for row in hits.itertuples():
        alternated.append(all(s > 0 for s, a in zip(row.se[:3], row.attention, strict=True) if a))
        seran_attention.append(tuple(a - (k == row.removed_from) for k, a in enumerate(row.attention, 1)))
    masks = {
        "module as published: p = 1, t = 2, r = 1": (hits["p"] == 1) & (hits["t"] == 2) & (hits["r"] == 1),
        "SE as published: reduction 16": hits["reduction"].eq(16),
        "both networks counted with the same classifier": hits["head"].eq("123 classes"),
        "SERAN loses what the paper names and nothing else": [not any(lost) for lost in hits["plain_lost"]],
        "SERAN-D alternates: no stage has attention without SE": alternated,
        "SERAN keeps one attention module in each of stages 1 to 3": [a == (1, 1, 1) for a in seran_attention],
        "SERAN ends in just the last two SE modules": [kept[3] == 2 for kept in hits["seran_se"]],
    }
    return {name: pd.Series(mask, index=hits.index, dtype=bool) for name, mask in masks.items()}


def arrange(se: int, attention: int, plain: int) -> str:
    """The word of one stage: SE and attention alternate, and residual blocks go between the two kinds (§3.1).

    SE modules first fill the gaps between attention modules, then the place before the first, then after the last.
    Blocks left over follow the one that opens the stage.
    """
    gaps = [0] * (attention + 1)
    order = [*range(1, attention), 0, attention] if attention else [0]
    for index in range(se):
        gaps[order[index % len(order)]] += 1
    modules = "A".join("S" * gap for gap in gaps)
    word = modules[:1]
    for before, after in pairwise(modules):
        if before != after and plain:
            word, plain = word + "R", plain - 1
        word += after
    return "R" * (1 + plain) + word


def meetings(layout: Layout) -> int:
    """How many times SE follows attention, or attention SE, with residual blocks between them or without."""
    return sum(before != after for before, after in pairwise("".join(layout).replace("R", "")))


def bare_neighbours(layout: Layout) -> int:
    """How many times SE and attention touch without a residual block between them."""
    return sum(word.count("SA") + word.count("AS") for word in layout)


def remove(layout: Layout, letter: str, counts: tuple[int, ...]) -> Layout:
    """The layout without `counts[k]` modules of a kind in stage k, the later ones of a stage going first."""
    words = []
    for word, count in zip(layout, counts, strict=True):
        for _ in range(count):
            position = word.rindex(letter)
            word = word[:position] + word[position + 1 :]
        words.append(word)
    return tuple(words)


def layouts(hit: pd.Series) -> tuple[Layout, Layout]:
    """SERAN-D and SERAN of one hit; SERAN is SERAN-D with modules removed, nothing else changed (§4.2)."""
    seran_d = tuple(arrange(*counts) for counts in zip(hit.se, (*hit.attention, 0), hit.plain, strict=True))
    seran = remove(seran_d, "S", tuple(np.subtract(hit.se, hit.seran_se).tolist()))
    seran = remove(seran, "R", hit.plain_lost)
    return seran_d, remove(seran, "A", tuple(int(k == hit.removed_from) for k in (1, 2, 3, 4)))


def choose(hits: pd.DataFrame) -> pd.Series:
    """The hit that honours every principle and has the fewest bare neighbours; ties go to fewer parameters."""
    kept = hits[np.logical_and.reduce(list(principles(hits).values()))]
    bare = kept.apply(lambda hit: bare_neighbours(layouts(hit)[0]), axis=1)
    return kept.assign(bare_neighbours=bare).sort_values(["bare_neighbours", "counted"], kind="stable").iloc[0]
