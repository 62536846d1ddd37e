"""The leak audit against counting by hand, and the promise that a split by merged links cuts none of them."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seran_lib.curate.leaks import ANY, NEAR_DUPLICATE, OBSERVER_DAY, OCCURRENCE, audit, links, merge_links, record
from seran_lib.curate.leaks import siblings_in_training as siblings
from seran_lib.data.split import split_by_species


@st.composite
def manifests(draw):
    """Labelled images whose records, observers, days and near-duplicate clusters are few enough to be shared."""
    count = draw(st.integers(1, 40))

    def column(*values):
        return draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    def few(name, most):
        return column("", *(f"{name}{k + 1}" for k in range(most)))

    columns = {"image_id": [f"i{k}" for k in range(count)], "label": column("bee", "fly"), "occurrence": few("r", 12)}
    columns |= {"recorded_by": few("Observer ", 3), "event_date": column("", "2017", "2017-03-04")}
    table = pd.DataFrame(columns, index=draw(st.permutations(range(count))))
    near = pd.Series(few("n", 15), index=table.index)
    return table, near, pd.Series(column("train", "valid", "test"), table.index)


def related(kind, one, two, near):
    """Whether two rows are siblings, said without the library."""
    if kind == OCCURRENCE:
        return one.occurrence == two.occurrence != ""
    if kind == NEAR_DUPLICATE:
        return near[one.Index] == near[two.Index] != ""
    same = (one.recorded_by, one.event_date, one.label) == (two.recorded_by, two.event_date, two.label)
    return same and one.recorded_by != "" and len(one.event_date) == 10


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_audit_counts_what_counting_by_hand_counts(case):
    manifest, near, split = case
    table = audit(links(manifest, near_duplicates=near), split)
    rows = list(manifest.itertuples())
    anything = set()
    for kind in (OCCURRENCE, OBSERVER_DAY, NEAR_DUPLICATE):
        pairs = [(a.Index, b.Index) for a in rows for b in rows if a.Index != b.Index and related(kind, a, b, near)]
        leaked = {a for a, b in pairs if (split[a], split[b]) == ("test", "train")}
        anything |= leaked
        assert table.loc[kind, "leaked"] == len(leaked)
        linked = {a for a, _ in pairs}
        assert table.loc[kind, "linked"] == len(linked)
    assert table.loc[ANY, "leaked"] == len(anything)
    assert (table["test"] == (split == "test").sum()).all()


@settings(max_examples=60, deadline=None)
@given(manifests(), st.integers(0, 99))
def test_a_split_by_merged_links_leaks_nothing(case, seed):
    manifest, near, _ = case
    found = links(manifest, near_duplicates=near)
    groups = merge_links(found)
    parts = np.random.default_rng(seed).choice(["train", "test"], len(manifest))
    split = pd.Series(parts[pd.factorize(groups)[0]], index=manifest.index)
    assert audit(found, split)["leaked"].sum() == 0
    for kind in found:  # and no more is joined than must be: a group without any link is one image
        alone = ~found[kind].duplicated(keep=False) | (found[kind] == "")
        found = found.assign(**{kind: found[kind].mask(alone, "")})
    unlinked = (found == "").all(axis=1)
    assert not groups[unlinked].duplicated(keep=False).any()


def test_links_join_over_several_steps():
    found = pd.DataFrame({"a": ["x", "x", "", "y"], "b": ["", "p", "p", ""]}, index=list("klmn"))
    assert merge_links(found).to_dict() == {"k": "0", "l": "0", "m": "0", "n": "3"}


def test_pictures_of_several_records_are_siblings_where_they_share_one():
    manifest = pd.DataFrame({"label": "bee", "occurrence": ["a | b", "c", "b", "c | d", "", "e", ""]})
    assert links(manifest)[OCCURRENCE].tolist() == ["a | b", "c", "a | b", "c", "", "e", ""]


def test_the_plain_split_leaks_and_the_grouped_split_does_not():
    rows = [(f"bee-{k}-{j}", "bee", f"bee-{k}") for k in range(50) for j in range(2)]
    rows += [(f"fly-{k}", "fly", f"fly-{k}") for k in range(100)]
    manifest = pd.DataFrame(rows, columns=["image_id", "label", "group"])
    plain = split_by_species(manifest, seed=0, grouped=False)
    leaked = siblings(links(manifest), plain)["group"]
    assert leaked.sum() > 5
    assert not leaked[manifest["label"] == "fly"].any()
    assert audit(links(manifest), split_by_species(manifest, seed=0))["leaked"].tolist() == [0, 0]


def test_an_audit_recorded_twice_stands_in_the_table_once(tmp_path):
    manifest = pd.DataFrame({"image_id": list("abcd"), "label": "bee", "group": list("xxyz")})
    found = links(manifest)
    audits = {f"split {k}": audit(found, pd.Series([k, "test", "valid", "train"])) for k in ("train", "valid")}
    table = tmp_path / "leaks.csv"
    for data in ("moths", "123", "bees"):
        record(table, data, audits)
    first = table.read_bytes()
    record(table, "123", audits)
    assert table.read_bytes() == first
    kept = pd.read_csv(table)
    assert kept["data"].drop_duplicates().tolist() == ["123", "bees", "moths"]
    one = kept[kept["data"] == "bees"].set_index(["split", "link"])
    where = product(("split train", "split valid"), ("group", ANY))
    assert one["leaked"].to_dict() == dict(zip(where, (1, 1, 0, 0), strict=True))


def test_a_split_of_another_manifest_is_refused():
    manifest = pd.DataFrame({"image_id": ["a", "b"], "label": ["bee", "bee"], "group": ["a", "b"]})
    with pytest.raises(ValueError, match="no part for 1 rows"):
        audit(links(manifest), pd.Series(["train"], index=[0]))
