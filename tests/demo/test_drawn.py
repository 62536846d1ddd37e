"""The drawn data set: species that look alike but differ, exact masks, and a folder that is either whole or redrawn."""

import hashlib
import json
from dataclasses import asdict, replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from PIL import Image, ImageFilter

from seran_lib.data.manifest import read_manifest
from seran_lib.data.masks import read_mask
from seran_lib.demo import dataset
from seran_lib.demo.dataset import draw_atlas
from seran_lib.demo.insects.picture import draw_empty, draw_insect
from seran_lib.demo.insects.species import PLANS, make_species
from seran_lib.errors import DataError

SMALL = {"species": 4, "images_per_species": 6, "side": 40, "seed": 3}


def traits_apart(one, other):
    first, second = asdict(one), asdict(other)
    return {trait for trait in first if first[trait] != second[trait]} - {"name"}


def pixels(drawing):
    return np.asarray(drawing.image, dtype=int)


def changed(first, second, above=25):
    """Where two pictures of one size differ visibly, (height, width) bool."""
    return np.abs(pixels(first) - pixels(second)).max(axis=2) > above


def drawn(one, seed=0, **options):
    return draw_insect(one, np.random.default_rng(seed), **options)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return draw_atlas(tmp_path_factory.mktemp("drawn") / "atlas", **SMALL)


# ---- species --------------------------------------------------------------------------------------------------------


def test_sisters_differ_in_one_or_two_traits_and_genera_in_many():
    sisters = 0
    for one, other in combinations(make_species(123, 0), 2):
        apart, same = len(traits_apart(one, other)), one.genus == other.genus
        sisters += same
        assert 1 <= apart <= 2 if same else apart > 5, (one.name, other.name)
    assert sisters > 100


def test_names_are_unique_binomials_and_all_body_plans_occur():
    species = make_species(1000, 1)
    assert len({one.name for one in species}) == 1000
    for one in species:
        genus, epithet = one.name.split()
        assert genus == one.genus and genus.istitle() and epithet.islower()
    assert {one.plan for one in species[:24]} == set(PLANS)
    for count in (0, 1001):
        with pytest.raises(ValueError, match=str(count)):
            make_species(count, 0)


def test_more_species_keep_the_earlier_ones_and_seeds_matter():
    assert make_species(40, 5)[:17] == make_species(17, 5)
    assert make_species(5, 5) != make_species(5, 6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_trait_that_tells_sisters_apart_can_be_seen(seed):
    species = make_species(40, seed)
    for one, other in pairwise(species):
        if one.genus == other.genus:
            pair = [drawn(each, 9, side=96, view="sheet") for each in (one, other)]
            x0, y0, x1, y1 = pair[0].label_box
            visible = changed(*pair)
            visible[y0 - 2 : y1 + 2, max(x0 - 2, 0) : x1 + 2] = False
            assert visible.sum() > 0.01 * pair[0].mask.sum(), (one.name, other.name, traits_apart(one, other))


# ---- one picture ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["field", "sheet"])
def test_every_plan_gives_a_picture_with_its_short_side_and_a_mask(view):
    shapes = set()
    for k, one in enumerate(make_species(16, 2)):
        drawing = drawn(one, k, side=60, view=view)
        assert drawing.image.mode == "RGB" and min(drawing.image.size) == 60
        assert drawing.mask.shape == (drawing.image.height, drawing.image.width) and drawing.mask.dtype == np.uint8
        assert set(np.unique(drawing.mask)) == {0, 1} and 0.02 < drawing.mask.mean() < 0.7
        shapes.add(drawing.image.size)
    assert len(shapes) > 1


def test_equal_generators_give_equal_pictures():
    first, again, other = (drawn(make_species(1, 0)[0], seed, side=64) for seed in (4, 4, 5))
    assert first.image.tobytes() == again.image.tobytes() and (first.mask == again.mask).all()
    assert first.image.tobytes() != other.image.tobytes()


def test_the_mask_is_where_the_insect_is():
    """Recolouring the animal alone changes the picture inside the mask and nowhere else."""
    for k, one in enumerate(make_species(16, 4)):
        bright = replace(one, **dict.fromkeys(("ground", "second", "accent", "dark"), (250, 30, 250)))
        plain, dyed = (drawn(each, k, side=96) for each in (one, bright))
        assert (plain.mask == dyed.mask).all()
        near = np.asarray(Image.fromarray(plain.mask * 255).filter(ImageFilter.MaxFilter(5))) > 0
        touched = changed(plain, dyed, above=30)
        assert touched[plain.mask == 1].mean() > 0.6, one.name
        assert touched[~near].mean() < 0.002, one.name


def test_the_label_names_the_species_inside_its_box_and_off_the_insect():
    for k, one in enumerate(make_species(12, 6)):
        renamed = replace(one, name="Wwwwwwwwww iiii")
        pair = [drawn(each, k, side=96, view="sheet") for each in (one, renamed)]
        x0, y0, x1, y1 = pair[0].label_box
        h, w = pair[0].mask.shape
        assert 0 <= x0 < x1 <= w and 0 <= y0 < y1 <= h and pair[1].label_box == pair[0].label_box
        assert pair[0].mask[y0:y1, x0:x1].sum() == 0
        differs = changed(*pair, above=8)
        assert differs[y0:y1, x0:x1].sum() > 20
        differs[y0:y1, x0:x1] = False
        assert not differs.any()


def test_a_burst_shows_the_same_animal_and_place_again():
    closer = 0
    for k, one in enumerate(make_species(12, 8)):
        first, second = (drawn(one, k, side=64, burst=burst) for burst in (0, 1))
        assert first.image.size == second.image.size and first.image.tobytes() != second.image.tobytes()
        others = (drawn(one, 100 + j, side=64) for j in range(20))
        stranger = next(each for each in others if each.image.size == first.image.size)
        closer += np.abs(pixels(first) - pixels(second)).mean() < np.abs(pixels(first) - pixels(stranger)).mean()
        assert first.label_box is None
    assert closer >= 10


def test_an_empty_habitat_has_an_empty_mask():
    drawing = draw_empty(np.random.default_rng(0), side=48)
    assert min(drawing.image.size) == 48 and drawing.mask.shape == (drawing.image.height, drawing.image.width)
    assert drawing.mask.sum() == 0


@pytest.mark.parametrize(("wrong", "named"), [({"side": 8}, "side is 8"), ({"side": 40, "view": "x-ray"}, "x-ray")])
def test_wrong_arguments_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        drawn(make_species(1, 0)[0], **wrong)


# ---- the folder -----------------------------------------------------------------------------------------------------


def test_the_folder_is_in_the_manifest_format(atlas):
    table = read_manifest(atlas)
    assert tuple(table.columns) == dataset.COLUMNS
    for row in table.itertuples():
        content = (atlas / row.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row.sha256
        with Image.open(atlas / row.file) as image:
            assert image.format == "JPEG" and min(image.size) == SMALL["side"]
        assert row.label == row.species and row.label.split()[0] == row.genus and row.licence == "CC0-1.0"
        assert (row.view == "sheet") == (len(row.label_box.split()) == 4)
        assert row.label.split()[1] not in row.file
    assert not list(atlas.glob("*.part"))


def test_numbers_fall_from_1_6_to_0_6_and_stay_usable():
    plan = dataset._plan(9, 34, np.random.default_rng(0))
    counts = np.bincount([shot.species for shot in plan])
    assert sorted(counts.tolist()) == [20, 25, 29, 33, 37, 42, 46, 50, 54]
    assert dataset._plan(3, 1, np.random.default_rng(0))


def test_shares_of_bursts_and_sheets():
    plan = dataset._plan(40, 40, np.random.default_rng(1))
    seen = {}
    for shot in plan:
        seen.setdefault((shot.species, shot.animal), []).append(shot)
    pairs = [shots for shots in seen.values() if len(shots) > 1]
    assert all(sorted(shot.burst for shot in shots) == [0, 1] for shots in pairs)
    assert 0.06 < 2 * len(pairs) / len(plan) < 0.10
    assert 0.12 < sum(shot.view == "sheet" for shot in plan) / len(plan) < 0.17


def test_a_burst_shares_group_and_record(tmp_path):
    table = read_manifest(draw_atlas(tmp_path / "a", species=2, images_per_species=30, side=32, seed=0))
    groups = table.groupby("group")
    assert set(groups.size()) == {1, 2} and (groups[["label", "record"]].nunique() == 1).all(axis=None)
    assert table["record"].nunique() == len(groups)
    assert set(groups.groups) <= set(table["image_id"])


def test_the_same_arguments_give_the_same_bytes(atlas, tmp_path):
    assert contents(draw_atlas(tmp_path / "again", **SMALL)) == contents(atlas)
    other = draw_atlas(tmp_path / "other", **SMALL | {"seed": 4})
    assert (other / "manifest.csv").read_bytes() != (atlas / "manifest.csv").read_bytes()


def test_every_image_has_its_mask_beside_it(tmp_path, monkeypatch):
    drawings = []

    def keep(*args, **options):
        drawings.append(draw_insect(*args, **options))
        return drawings[-1]

    monkeypatch.setattr(dataset, "draw_insect", keep)
    folder = draw_atlas(tmp_path / "a", **SMALL)
    for row, drawing in zip(read_manifest(folder).itertuples(), drawings, strict=True):
        insect, furniture = read_mask(folder / "masks" / f"{row.image_id}.png", drawing.image.size)
        assert np.array_equal(insect, drawing.mask == 1) and insect.any()
        x0, y0, x1, y1 = drawing.label_box or (0, 0, 0, 0)
        assert furniture[y0:y1, x0:x1].all() and furniture.any() == (row.view == "sheet")


def test_a_complete_atlas_is_kept(atlas, monkeypatch):
    monkeypatch.setattr(dataset, "draw_insect", lambda *_, **__: pytest.fail("drawn again"))
    assert draw_atlas(atlas, **SMALL) == atlas


def test_an_interrupted_atlas_is_drawn_again(atlas, tmp_path, monkeypatch):
    calls = iter(range(5))

    def stops(*args, **options):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return draw_insect(*args, **options)

    monkeypatch.setattr(dataset, "draw_insect", stops)
    folder = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        draw_atlas(folder, **SMALL)
    assert len(list((folder / "images").iterdir())) == 5 and not (folder / "manifest.csv").exists()
    with pytest.raises(DataError):
        read_manifest(folder)
    monkeypatch.undo()
    assert contents(draw_atlas(folder, **SMALL)) == contents(atlas)


@pytest.mark.parametrize("lost", ["images/drawn-000002.jpg", "masks/drawn-000002.png", "manifest.csv"])
def test_a_lost_file_is_drawn_again(lost, atlas, tmp_path):
    folder = draw_atlas(tmp_path / "a", **SMALL)
    (folder / lost).unlink()
    assert contents(draw_atlas(folder, **SMALL)) == contents(atlas)


def test_other_arguments_replace_the_atlas_without_leftovers(atlas, tmp_path):
    folder = draw_atlas(tmp_path / "a", **SMALL | {"images_per_species": 9})
    assert contents(draw_atlas(folder, **SMALL)) == contents(atlas)
    assert json.loads((folder / "atlas.json").read_text())["images_per_species"] == 6


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine" / "images").mkdir(parents=True)
    (tmp_path / "mine" / "images" / "holiday.jpg").write_bytes(b"precious")
    before = contents(tmp_path / "mine")
    with pytest.raises(DataError, match="mine is not a drawn atlas"):
        draw_atlas(tmp_path / "mine", **SMALL)
    assert contents(tmp_path / "mine") == before


@pytest.mark.parametrize("wrong", [{"species": 0}, {"images_per_species": 0}, {"side": 10}])
def test_impossible_arguments_write_nothing(wrong, tmp_path):
    with pytest.raises(ValueError):
        draw_atlas(tmp_path / "a", **SMALL | wrong)
    assert list(tmp_path.iterdir()) == []
