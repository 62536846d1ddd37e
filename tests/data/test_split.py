"""The split by species: quotas, groups kept whole, independence of row order and of other species."""

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seran_lib.data.split import NEAR_DUPLICATE, UNUSED, audit, fingerprint, limit_training, split_by_species
from seran_lib.errors import DataError


def atlas(species):
    """A manifest from {label: [images in each group]}; group names are unique to a label."""
    groups = [(label, f"{label}-{k}", size) for label, sizes in species.items() for k, size in enumerate(sizes)]
    rows = [(f"{group}-{image}", label, group) for label, group, size in groups for image in range(size)]
    return pd.DataFrame(rows, columns=["image_id", "label", "group"])


def counts(manifest, split):
    return pd.crosstab(manifest["label"], split).reindex(columns=["train", "valid", "test"], fill_value=0)


seeds = st.integers(0, 2**32)
# Enough single photographs that test and validation can always be filled with at least one image.
group_sizes = st.tuples(st.lists(st.integers(2, 5), max_size=6), st.integers(14, 40)).map(lambda x: x[0] + [1] * x[1])
atlases = st.dictionaries(st.text("abé ", min_size=1, max_size=4), group_sizes, min_size=1, max_size=4).map(atlas)
single_atlases = st.dictionaries(st.text("ab", min_size=1, max_size=3), st.integers(7, 90), min_size=1, max_size=4).map(
    lambda sizes: atlas({label: [1] * size for label, size in sizes.items()})
)
quick = settings(max_examples=60, deadline=None)


@quick
@given(atlases, seeds)
def test_no_group_is_separated_and_no_quota_exceeded(manifest, seed):
    split = split_by_species(manifest, seed=seed)
    assert split.index.equals(manifest.index)
    assert set(split) == {"train", "valid", "test"}
    assert (split.groupby(manifest["group"]).nunique() == 1).all()
    for label, row in counts(manifest, split).iterrows():
        quota = 15 * (manifest["label"] == label).sum() // 100
        assert 1 <= row["valid"] <= quota
        assert 1 <= row["test"] <= quota


@quick
@given(single_atlases, seeds)
def test_quotas_are_exact_where_every_image_is_its_own_group(manifest, seed):
    for grouped in (True, False):
        table = counts(manifest, split_by_species(manifest, seed=seed, grouped=grouped))
        for label, row in table.iterrows():
            images = int((manifest["label"] == label).sum())
            held_out = int(images * 15 / 100 + 1e-9)
            assert row.tolist() == [images - 2 * held_out, held_out, held_out]


@pytest.mark.parametrize(("images", "held_out"), [(7, 1), (13, 1), (14, 2), (19, 2), (20, 3), (140, 21), (1381, 207)])
def test_a_species_gives_the_floor_of_fifteen_percent_to_each_part(images, held_out):
    manifest = atlas({"bee": [1] * images})
    expected = [images - 2 * held_out, held_out, held_out]
    assert counts(manifest, split_by_species(manifest, seed=0)).loc["bee"].tolist() == expected


@quick
@given(atlases, seeds, st.randoms(use_true_random=False), st.booleans())
def test_row_order_does_not_matter(manifest, seed, random, grouped):
    order = list(manifest.index)
    random.shuffle(order)
    split = split_by_species(manifest, seed=seed, grouped=grouped)
    shuffled = manifest.loc[order]
    again = split_by_species(shuffled, seed=seed, grouped=grouped)
    assert again.loc[manifest.index].tolist() == split.tolist()
    assert fingerprint(shuffled, again) == fingerprint(manifest, split)


@quick
@given(atlases, group_sizes, seeds, st.booleans())
def test_a_new_species_leaves_the_others_where_they_were(manifest, sizes, seed, grouped):
    split = split_by_species(manifest, seed=seed, grouped=grouped)
    larger = pd.concat([atlas({"new": sizes}), manifest], ignore_index=True)
    again = split_by_species(larger, seed=seed, grouped=grouped)
    assert again[(larger["label"] != "new")].tolist() == split.tolist()


@quick
@given(atlases, seeds, st.integers(1, 20), st.integers(0, 20), st.randoms(use_true_random=False))
def test_fewer_training_images_are_among_more_and_nothing_else_moves(manifest, seed, few, more, random):
    split = split_by_species(manifest, seed=seed)
    small, large = (limit_training(manifest, split, n, seed=seed) for n in (few, few + more))
    assert set(small.index[small == "train"]) <= set(large.index[large == "train"])
    kept = manifest["label"][small == "train"].value_counts()
    assert kept.equals(manifest["label"][split == "train"].value_counts().clip(upper=few)[kept.index])
    assert (small[split != "train"] == split[split != "train"]).all()
    assert set(small[small != split]) <= {UNUSED}
    rows = random.sample(range(len(manifest)), len(manifest))
    again = limit_training(manifest.iloc[rows], split.iloc[rows], few, seed=seed)
    assert again.sort_index().equals(small)


def test_seeds_and_species_differ():
    manifest = atlas({"bee": [1] * 100, "fly": [1] * 100})
    splits = {seed: split_by_species(manifest, seed=seed) for seed in range(5)}
    assert len({tuple(split) for split in splits.values()}) == 5
    assert len({fingerprint(manifest, split) for split in splits.values()}) == 5
    bee, fly = (splits[0][manifest["label"] == label].tolist() for label in ("bee", "fly"))
    assert bee != fly, "species of one size are not shuffled alike"


def test_every_image_is_held_out_by_some_seed():
    manifest = atlas({"bee": [1] * 20})
    tested = sum((split_by_species(manifest, seed=seed) == "test").astype(int) for seed in range(200))
    assert tested.sum() == 200 * 3
    assert tested.min() >= 10, "30 of 200 draws are expected for each image"


def test_split_is_the_same_on_every_machine():
    split = split_by_species(atlas({"bee": [1] * 10 + [2] * 5}), seed=7)
    assert [split.index[split == part].tolist() for part in ("test", "valid")] == [[8, 16, 17], [1, 12, 13]]


def test_groups_with_two_labels_go_to_training():
    manifest = atlas({"bee": [1] * 40, "fly": [1] * 40})
    for row in range(0, 80, 4):
        manifest.loc[row, "group"] = f"shared {row % 40}"
    assert (manifest.groupby("group")["label"].nunique() == 2).sum() == 10
    for seed in range(20):
        split = split_by_species(manifest, seed=seed)
        assert set(split[manifest["group"].str.startswith("shared")]) == {"train"}
        assert counts(manifest, split)[["valid", "test"]].to_numpy().tolist() == [[6, 6], [6, 6]]


def test_large_groups_leave_a_quota_short_rather_than_exceed_it():
    manifest = atlas({"bee": [4, 4, 4, 4, 4, 4, 4, 4, 4, 4]})  # quota 6: one group of 4 fits each part
    assert counts(manifest, split_by_species(manifest, seed=0)).loc["bee"].tolist() == [32, 4, 4]


def test_species_that_cannot_be_tested_are_all_named():
    manifest = atlas({"ant": [1] * 6, "bee": [1] * 30, "fly": [30], "wasp": [1, 19]})
    with pytest.raises(DataError) as raised:
        split_by_species(manifest, seed=0)
    text = "\n".join(raised.value.problems)
    assert [f"{name}: no {part} image" in text for name in ("ant", "fly") for part in ("valid", "test")] == [True] * 4
    assert "wasp: no valid image" in text and "wasp: no test image" not in text
    assert "bee" not in text


def test_unlabelled_images_are_refused():
    manifest = atlas({"bee": [1] * 20, "": [1] * 20})
    with pytest.raises(DataError, match="select"):
        split_by_species(manifest, seed=0)


@quick
@given(atlases, seeds, st.data())
def test_fingerprint_changes_with_any_id_label_checksum_or_part(manifest, seed, data):
    manifest = manifest.assign(sha256="")
    split = split_by_species(manifest, seed=seed)
    before = fingerprint(manifest, split)
    row = data.draw(st.sampled_from(range(len(manifest))))
    column = data.draw(st.sampled_from(["image_id", "label", "sha256", "part"]))
    changed, parts = manifest.copy(), split.copy()
    if column == "part":
        parts[row] = data.draw(st.sampled_from(sorted({"train", "valid", "test"} - {split[row]})))
    else:
        value = data.draw(st.text("abé-0", max_size=6))
        assume(value != manifest.at[row, column])
        changed.at[row, column] = value
    assert fingerprint(changed, parts) != before
    assert fingerprint(manifest, split) == before


def test_fingerprint_is_the_one_that_committed_results_were_recorded_with():
    """By it the ledger knows its images: another one would have every run refused or done again."""
    manifest = pd.DataFrame({"image_id": ["b", "a"], "label": ["Käfer", "bee"], "sha256": ["f00d", ""]})
    split = pd.Series(["train", "test"])
    assert fingerprint(manifest, split) == "9c057fc27f790d500835c9bcaeebb3b75cdccf281235d47408be2dcb72ce3542"
    assert fingerprint(manifest.assign(note="x"), split) == fingerprint(manifest, split)
    bare = manifest.drop(columns="sha256")
    assert fingerprint(bare, split) == fingerprint(bare.assign(sha256=""), split)
    with pytest.raises(ValueError, match="no part for 1 rows"):
        fingerprint(manifest, split.drop(1))


def test_the_audit_counts_test_images_with_a_sibling_in_training():
    table = pd.DataFrame({"group": list("aabbcd"), "sha256": ["", "", "x", "y", "z", "x"]})
    split = pd.Series(["train", "test", "test", "valid", "train", "train"])
    assert audit(table, split).startswith("test images with a group sibling in training: 2 of 2; near-copies are not")
    assert audit(table.drop(columns="sha256"), split).split(";")[0].endswith("1 of 2")
    clusters = table.assign(group=list("abcdef"), sha256="", **{NEAR_DUPLICATE: list("pqrstu")})
    assert audit(clusters, split) == "test images with a near-copy or group sibling in training: 0 of 2"
