"""The parameter formulas equal real networks, the search is sound, and the default SERAN is its choice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seran_lib.nets import create_model
from seran_lib.nets.description import count_parameters, describe
from seran_lib.nets.network import StagedNetwork
from seran_lib.nets.specs import ALL_USED, LEAN, NARROW_STEM, SERAN, SERAN_D
from seran_lib.paper import reconstruct

per_stage = st.tuples(*[st.integers(0, 2)] * 4)


@settings(max_examples=8, deadline=None)
@given(se=per_stage, attention=st.tuples(*[st.integers(0, 1)] * 3), plain=per_stage)
def test_formula_counts_what_the_network_owns(se, attention, plain):
    layout = tuple(reconstruct.arrange(*counts) for counts in zip(se, (*attention, 0), plain, strict=True))
    model = StagedNetwork(layout, 10)
    body = count_parameters(model) - count_parameters(model.classifier)
    assert reconstruct.body_parameters(se, attention, plain) == body


def test_formula_counts_the_port():
    """The 2018 port allocates 85.23 million weights for Attention-92 with 1000 classes and uses 52.47 million."""
    counts = {
        unused: reconstruct.body_parameters((0,) * 4, (1, 2, 3), (0, 0, 0, 2), stem=(64, 64, 64), unused=unused)
        for unused in ("none", "every unit")
    }
    three_layers, seven_by_seven = 27 * 64 + 18 * 64 * 64 + 6 * 64, 49 * 3 * 64 + 2 * 64
    rest = seven_by_seven - three_layers + 2049 * 1000
    assert counts["none"] + rest == 52_466_344
    assert (counts["every unit"] + rest) / 1e6 == pytest.approx(85.23, abs=0.005)


@given(se=st.integers(0, 5), attention=st.integers(0, 3), plain=st.integers(0, 4))
def test_arrangement_keeps_every_module_and_alternates(se, attention, plain):
    word = reconstruct.arrange(se, attention, plain)
    assert (word.count("S"), word.count("A"), word.count("R")) == (se, attention, plain + 1)
    assert word[0] == "R"
    if attention > 1 and se >= attention - 1:
        assert "AA" not in word.replace("R", "")


def test_meetings_are_counted_across_stages_and_bare_ones_are_among_them():
    layout = ("RSRA", "RS", "RASS", "RRSS")
    assert (reconstruct.meetings(layout), reconstruct.bare_neighbours(layout)) == (4, 1)
    assert reconstruct.meetings(("RR", "RS", "RRS", "RS")) == 0


@pytest.fixture(scope="module")
def hits():
    return reconstruct.search(reconstruct.Family(plain=(0, 1), stems=((64, 64, 128),)))


def test_every_hit_meets_both_quoted_differences(hits):
    assert len(hits) > 0
    for hit in hits.sample(20, random_state=0).itertuples():
        how = {k: getattr(hit, k) for k in ("stem", "reduction", "unused")} | {"units": (hit.p, hit.t, hit.r)}
        counted = reconstruct.body_parameters(hit.se, hit.attention, hit.plain, **how)
        less = tuple(a - (k == hit.removed_from) for k, a in enumerate(hit.attention, 1))
        seran = reconstruct.body_parameters(hit.seran_se, less, hit.plain, **how)
        assert f"{counted - seran:.2e}" == "2.87e+07"
        senet154 = 115_088_984 - 2049 * 1000 + reconstruct.HEADS[hit.head]
        assert f"{senet154 - counted - 2049 * 123:.2e}" == "2.16e+07"


def test_search_is_exhaustive_on_a_family_small_enough_to_try_one_by_one():
    family = reconstruct.Family(
        plain=(0, 1), p=(1,), t=(2,), r=(1,), reduction=(16,), unused=("every unit",), heads=("123 classes",)
    )
    found = reconstruct.search(family)
    by_hand, tried = 0, 0
    for attention, stage, lost in reconstruct.removals(family):
        for kept in reconstruct.kept_se(family):
            se = tuple(k + n for k, n in zip(kept, lost, strict=True))
            less = tuple(a - (k == stage) for k, a in enumerate(attention, 1))
            zero = (0, 0, 0, 0)
            unused = {"unused": "every unit"}
            gap = reconstruct.body_parameters(se, attention, zero, **unused) - reconstruct.body_parameters(
                kept, less, zero, **unused
            )
            tried += 16 * len(family.stems)
            if abs(gap - 2.87e7) >= 5e4:
                continue
            for plain in reconstruct.product((0, 1), repeat=4):
                for stem in family.stems:
                    counted = reconstruct.body_parameters(se, attention, plain, stem=stem, **unused)
                    by_hand += abs(reconstruct.SENET154_BODY - counted - 2.16e7) < 5e4
    assert (len(found), reconstruct.family_size(family)) == (by_hand, tried)


def test_with_the_published_module_only_unused_weights_explain_the_numbers(hits):
    published = hits[(hits.p == 1) & (hits.t == 2) & (hits.r == 1) & (hits.reduction == 16)]
    assert set(published.unused) == {"every unit"}


def test_in_the_wider_family_weights_that_are_used_suffice():
    """Where SERAN may also lack a residual block or two, which the paper does not name."""
    found = reconstruct.search(replace(reconstruct.WIDER, stems=((64, 64, 128),)))
    honest = found[found["unused"] == "none"]
    assert len(honest) and all(any(lost) for lost in honest["plain_lost"])
    for hit in honest.sample(10, random_state=0).itertuples():
        less = tuple(a - (k == hit.removed_from) for k, a in enumerate(hit.attention, 1))
        plain = tuple(n - lost for n, lost in zip(hit.plain, hit.plain_lost, strict=True))
        seran_d = reconstruct.body_parameters(hit.se, hit.attention, hit.plain)
        assert f"{seran_d - reconstruct.body_parameters(hit.seran_se, less, plain):.2e}" == "2.87e+07"
        smaller = reconstruct.layouts(hit)[1]
        assert "".join(smaller).count("R") == 4 + sum(plain)


def test_the_other_layouts_are_the_leanest_finalist_and_the_nearest_to_the_principles_without_unused_weights():
    hits = reconstruct.search()
    finalists = hits[np.logical_and.reduce(list(reconstruct.principles(hits).values()))]
    drawn = [(*reconstruct.layouts(hit), hit.stem) for _, hit in finalists.iterrows()]
    with torch.device("meta"):
        costs = [describe(StagedNetwork(layout, 123, stem=stem), 224).gmacs for layout, _, stem in drawn]
    layout, _, stem = drawn[int(np.argmin(costs))]
    assert (layout, stem) == (LEAN, NARROW_STEM)

    found = reconstruct.search(replace(reconstruct.WIDER, unused=("none",)))
    kept = pd.DataFrame(reconstruct.principles(found)).sum(axis=1)
    best = found[kept == kept.max()]
    best = best.assign(
        more=best["plain_lost"].map(sum),
        bare=[reconstruct.bare_neighbours(reconstruct.layouts(hit)[0]) for _, hit in best.iterrows()],
    )
    hit = best.sort_values(["more", "bare", "counted"]).iloc[0]
    assert (reconstruct.layouts(hit)[0], hit.stem, kept.max()) == (ALL_USED, NARROW_STEM, 5)
    assert count_parameters(create_model("seran_d_all_used", 123)) == hit.counted


def test_the_size_of_the_wider_family_is_that_of_its_members_one_by_one():
    family = reconstruct.Family(
        plain=(0, 1), plain_removed=(0, 1), p=(1,), t=(2,), r=(1,), reduction=(16,), heads=("fast.ai",)
    )
    pairs = sum(
        all(n >= lost for n, lost in zip(plain, removed, strict=True))
        for plain in reconstruct.product((0, 1), repeat=4)
        for removed in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    )
    layouts = sum(1 for _ in reconstruct.removals(family)) * len(reconstruct.kept_se(family))
    assert reconstruct.family_size(family) == 3 * 3 * layouts * pairs


def test_an_arbitrary_number_is_often_met_and_more_often_by_a_wider_family():
    narrow = reconstruct.null_test(replace(reconstruct.WIDER, plain_removed=(0,)))
    assert 0.2 < narrow["none"] < narrow["every unit"] < 0.5
    assert (reconstruct.null_test(reconstruct.WIDER) > 0.9).all()
    beyond = reconstruct.null_test(reconstruct.WIDER, 1e12, 1.0001e12)
    assert (beyond == 0).all()


def test_default_networks_are_the_choice_of_the_search():
    hit = reconstruct.choose(reconstruct.search())
    assert reconstruct.layouts(hit) == (SERAN_D, SERAN)
    used = reconstruct.body_parameters(hit.se, hit.attention, hit.plain, stem=hit.stem)
    assert count_parameters(create_model("seran_d", 123)) == used + 2049 * 123 < hit.counted
