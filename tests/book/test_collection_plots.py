"""The figures of a collection say what its manifest says, for complete manifests and for bare ones."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from seran_lib.book.plots import collection as survey


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def collection(tmp_path):
    """Three species of eight flat pictures; two of one genus and of one colour, the third far away."""
    rng, rows = np.random.default_rng(0), []
    species = {"Aa bb": (200, 40, 40), "Aa cc": (190, 40, 40), "Dd ee": (40, 40, 200)}
    for name, k in product(species, range(8)):
        pixels = np.clip(np.array(species[name]) + rng.integers(-9, 9, (30, 40, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}{k}.png")
        rows.append((f"{name}{k}", f"{name}{k}.png", name, name, name.split()[0]))
    manifest = pd.DataFrame(rows, columns=["image_id", "file", "label", "species", "genus"])
    return tmp_path, manifest


def texts(figure):
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def test_imbalance_counts_species_and_those_above_the_cut(collection):
    _, manifest = collection
    figure = survey.plot_imbalance(manifest.iloc[:20], min_images=5)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [8, 8, 4]
    assert "3 species, 2 with at least 5 images" in texts(figure)
    assert any("40.0% of all images" in text for text in texts(figure))


def test_every_ring_of_the_sunburst_goes_round_once(collection):
    _, manifest = collection
    figure = survey.plot_taxonomy(manifest.assign(order="", genus=["Aa"] * 8 + [""] * 8 + ["Dd"] * 8))
    arcs = pd.DataFrame([(bar.get_y(), bar.get_width()) for bar in figure.axes[0].patches], columns=["ring", "width"])
    assert np.allclose(arcs.groupby("ring")["width"].sum(), 2 * np.pi)
    assert len(arcs) == 3 + 3  # genera, one of them not stated, and species; the empty rank has no ring
    assert survey.UNKNOWN in texts(figure)


def test_map_and_licences_count_what_is_not_known(collection):
    _, manifest = collection
    place = manifest.assign(longitude=["145.0", ""] * 12, latitude=["-20.5", ""] * 12)
    assert "12 of 24 images have a place" in texts(survey.plot_map(place))
    licences = manifest.assign(licence=["CC BY 4.0"] * 18 + [""] * 6)
    found = texts(survey.plot_licences(licences, lambda name: True))
    assert "75%\nmay be shared" in found
    assert "not stated: 6 images, closed" in found
    with pytest.raises(ValueError, match="no latitude and longitude"):
        survey.plot_map(manifest)


def test_figure_1_finds_the_sisters_the_varied_and_the_hard(collection):
    folder, manifest = collection
    rng = np.random.default_rng(1)
    for file in manifest.loc[manifest["label"] == "Dd ee", "file"]:
        Image.new("RGB", (40, 30), tuple(rng.integers(0, 255, 3).tolist())).save(folder / file)
    found = texts(survey.figure1(folder, manifest, lambda image: np.asarray(image)[..., 0].mean(), columns=4))
    assert "two species: Aa bb, Aa cc" in found
    assert "one species: Dd ee" in found
    with pytest.raises(ValueError, match="two species with at least 9 pictures"):
        survey.figure1(folder, manifest, lambda image: 0.0, columns=9)


def test_a_picture_that_cannot_be_read_leaves_a_note(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    figure = survey.picture_rows({"row": ([tmp_path / "bad.jpg"], ["name"])}, columns=2)
    assert "not\nreadable" in texts(figure)


def test_leaks_are_drawn_with_their_counts():
    table = pd.DataFrame({"linked": [5], "test": [20], "leaked": [5], "share": [0.25]}, index=["occurrence"])
    assert "5 of 20" in texts(survey.plot_leaks({"single images": table}))
