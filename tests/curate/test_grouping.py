"""A set whose near-copies are in one group: the same pictures, and no split parts what belongs together."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from seran_lib import cli
from seran_lib.curate.grouping import joined_groups, write_grouped
from seran_lib.data.manifest import read_manifest
from seran_lib.data.split import NEAR_DUPLICATE, audit, split_by_species
from seran_lib.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of noise, of which the second is the first at another quality; the third belongs to the second."""
    rng, place = np.random.default_rng(0), tmp_path / "set"
    (place / "images").mkdir(parents=True)
    (place / "masks").mkdir()
    pictures = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((96, 96)) for _ in range(40)]
    pictures[1] = pictures[0].copy()
    for index, picture in enumerate(pictures):
        picture.save(place / "images" / f"{index:02d}.jpg", quality=80 if index == 1 else 95)
    Image.new("L", (96, 96)).save(place / "masks" / "05.png")
    ids = [f"{index:02d}" for index in range(40)]
    table = pd.DataFrame({"image_id": ids, "file": [f"images/{i}.jpg" for i in ids], "label": 20 * ["bee", "fly"]})
    table["label"], table["group"] = sorted(table["label"]), [*"abb", *ids[3:]]
    table.to_csv(place / "manifest.csv", index=False)
    return place


def test_near_copies_join_the_sets_own_groups(folder, tmp_path, capsys):
    assert cli.main(["data", "group", str(folder), str(tmp_path / "out")]) == 0
    assert "3 images in 1 groups of several" in capsys.readouterr().out
    before, after = read_manifest(folder), read_manifest(tmp_path / "out")
    assert after["group"].tolist() == ["00", "00", "00", *before["image_id"][3:]]
    same = ["image_id", "file", "label"]
    pd.testing.assert_frame_equal(after[same], before[same])
    for file in [*after["file"], "masks/05.png"]:
        assert (tmp_path / "out" / file).read_bytes() == (folder / file).read_bytes()
    for seed in range(5):
        assert "near-copy or group sibling in training: 0 of" in audit(after, split_by_species(after, seed=seed))


def test_names_of_groups_do_not_depend_on_the_order_of_rows():
    table = pd.DataFrame({"image_id": list("dbca"), "group": list("xyyz")})
    clusters = pd.Series(list("ppqr"))
    assert joined_groups(table, clusters).tolist() == ["b", "b", "b", "a"]
    assert joined_groups(table[::-1], clusters[::-1]).tolist() == ["a", "b", "b", "b"]


def test_nothing_is_overwritten(folder, tmp_path):
    with pytest.raises(DataError, match="is there already"):
        write_grouped(folder, folder)
    assert NEAR_DUPLICATE not in read_manifest(folder)
