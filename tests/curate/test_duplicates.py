"""Copies are found whatever was done to them, and look-alikes are not taken for copies."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from seran_lib.curate.duplicates import Fingerprint, cluster_names, find_copies, fingerprint, near_duplicates
from seran_lib.demo.insects.picture import draw_insect
from seran_lib.demo.insects.species import make_species

SPECIES = make_species(6, seed=2)


def drawn(seed, **options):
    return draw_insect(SPECIES[seed % 6], np.random.default_rng(seed), side=128, **options).image


def as_jpeg(image, quality=92):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def seen(image, quality=92):
    data = as_jpeg(image, quality)
    return fingerprint(data, Image.open(io.BytesIO(data)).convert("RGB"))


def trimmed(image):
    w, h = image.size
    return image.crop((round(0.02 * w), round(0.01 * h), round(0.985 * w), round(0.97 * h)))


CHANGES = {
    "recompressed": lambda image: seen(image, quality=40),
    "half the size": lambda image: seen(image.resize((image.width // 2, image.height // 2))),
    "brighter": lambda image: seen(ImageEnhance.Brightness(image).enhance(1.2)),
    "darker": lambda image: seen(ImageEnhance.Brightness(image).enhance(0.7)),
    "mirrored": lambda image: seen(ImageOps.mirror(image), quality=80),
    "trimmed": lambda image: seen(trimmed(image)),
    "mirrored and trimmed": lambda image: seen(trimmed(ImageOps.mirror(image))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(change):
    images = [drawn(seed) for seed in range(20)]
    found = find_copies([seen(image) for image in images] + [CHANGES[change](image) for image in images])
    right = found["second"] == found["first"] + 20
    assert right.all(), "none of another picture"
    assert right.sum() >= 18
    assert (found["alike"] < 1).all(), "1 is kept for equal files"


@pytest.mark.parametrize("view", ["field", "sheet"])
def test_different_animals_of_the_same_species_are_no_copies(view):
    assert find_copies([seen(drawn(6 * seed, view=view)) for seed in range(60)]).empty


def test_two_photographs_of_one_animal_are_no_copies():
    found = [find_copies([seen(drawn(seed, burst=burst)) for burst in (0, 1)]) for seed in range(40)]
    assert sum(map(len, found)) <= 2


def test_equal_files_are_paired_with_the_first_alone():
    one, other = seen(drawn(1)), seen(drawn(2))
    found = find_copies([other, one, one, one])
    assert found.to_numpy().tolist() == [[1, 2, 1.0], [1, 3, 1.0]]


def test_equal_pixels_in_another_file_are_not_called_equal_files():
    image = drawn(3)
    found = find_copies([fingerprint(b"one", image), fingerprint(b"another", image)])
    assert len(found) == 1
    assert 0.99 < found["alike"][0] < 1


def test_plain_pictures_are_copies_of_nothing():
    plain = [fingerprint(bytes([shade]), Image.new("RGB", (90, 70), (shade,) * 3)) for shade in (0, 128, 255)]
    assert find_copies(plain).empty
    assert find_copies([]).empty
    assert find_copies([Fingerprint(""), Fingerprint("")]).empty, "files that are not there are not equal"


@given(st.integers(2, 30), st.data())
@settings(max_examples=60)
def test_clusters_do_not_depend_on_the_order_of_pictures_or_pairs(count, data):
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node).map(sorted).filter(lambda pair: pair[0] < pair[1])))
    ids = [f"picture {k:02d}" for k in range(count)]
    names = cluster_names(ids, pd.DataFrame(pairs, columns=["first", "second"], dtype=int))

    order = data.draw(st.permutations(range(count)))
    place = {old: new for new, old in enumerate(order)}
    moved = [sorted((place[a], place[b])) for a, b in reversed(pairs)]
    again = cluster_names([ids[k] for k in order], pd.DataFrame(moved, columns=["first", "second"], dtype=int))
    assert again.tolist() == [names[k] for k in order]
    for a, b in pairs:
        assert names[a] == names[b]
    assert (names <= pd.Series(ids)).all(), "the name is the smallest id"
    touched = {node for pair in pairs for node in pair}
    assert all(names[k] == ids[k] for k in range(count) if k not in touched)


def test_clusters_of_a_folder(tmp_path):
    image = drawn(4)
    whole, mirrored = as_jpeg(image), as_jpeg(ImageOps.mirror(image), quality=60)
    contents = {"z": whole, "b": whole, "m": mirrored, "other": as_jpeg(drawn(5))}
    contents |= {"broken": whole[:300], "broken too": whole[:200]}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    manifest = pd.DataFrame({"image_id": [*contents, "gone"], "file": [*contents, "gone"]}, index=range(10, 17))
    found = near_duplicates(tmp_path, manifest)
    assert found.index.equals(manifest.index)
    assert found.tolist() == ["b", "b", "b", "other", "broken", "broken too", "gone"]


def test_an_upright_and_a_turned_file_of_one_picture(tmp_path):
    """A phone stores the picture on its side and says so in EXIF; another program turned it."""
    image = drawn(7)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "upright.jpg", quality=92)
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", quality=92, exif=exif)
    names = ["turned.jpg", "upright.jpg"]
    assert near_duplicates(tmp_path, pd.DataFrame({"image_id": names, "file": names})).tolist() == ["turned.jpg"] * 2
