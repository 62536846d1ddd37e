"""Chapter 12's tables, from an invented ledger whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from seran_lib import paths
from seran_lib.analysis import beyond, verdicts
from seran_lib.analysis.protocol import BEST_STEP, LIGHTER, LIGHTER_EPOCHS, PINNED
from seran_lib.nets import create_model, describe
from seran_lib.train import ledger
from seran_lib.train.evaluate import save_table
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import usual

IMAGES = 1000
SCRATCH, PRETRAINED = "seran_d, average", "efficientnet_lite0, finetune, 3 epochs"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Writes a run of a way with so many wrong test images into an empty ledger."""
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    known = {way.name: way for way in beyond.ways()}

    def write(name, seed, wrong, *, minutes=10.0, valid=0.0, labels=None, **other):
        way = known[name]
        row = dict.fromkeys(ledger.COLUMNS, "") | {
            "run_id": f"{name}-{seed}".replace(", ", "-"), "profile": "laptop", "data": "butterfly100",
            "model": way.model, "recipe": way.recipe, "wiring": "paper",
            "epochs": way.epochs or PROFILES["laptop"].epochs, "seed": seed,
            "images_per_class": 0, "test": IMAGES,
            "test_top1_error": 100 * wrong / IMAGES, "valid_top1_error": valid or 100 * wrong / IMAGES,
            "test_macro_error": 50.0, "seconds": 60 * minutes, "device": "a CPU", "precision": "bf16",
        }  # fmt: skip
        ledger.append(tmp_path, row | usual("laptop", way.model, way.recipe) | other)
        labels = labels or ["monarch"] * IMAGES
        answers = pd.DataFrame({"image_id": [f"{k:04d}" for k in range(IMAGES)], "label": labels})
        predicted = np.where(np.arange(IMAGES) < wrong, "another", answers["label"])
        save_table(tmp_path / "predictions" / f"{row['run_id']}.csv.gz", answers.assign(predicted=predicted))

    return write


def three_seeds(book, name, wrong, **options):
    for seed, shift in enumerate((-4, 0, 4)):  # the same noise for all, so that ratios are nearly the same
        book(name, seed, wrong + shift * wrong // 100, **options)


def rows():
    return beyond.way_rows("laptop", "butterfly100")


def test_without_runs_all_is_not_run():
    table = beyond.comparison(rows().iloc[:0])
    assert len(table) == len(beyond.ways()) == 8 and not table["seeds"].any()
    assert set(beyond.goal_table(table)["verdict"]) == {"not run"}
    assert beyond.paired(rows().iloc[:0]).empty


def test_only_runs_as_planned_count(book):
    three_seeds(book, "seran_d, paper", 400)
    book("seran_d, paper", 3, 400)
    for number, other in enumerate(({"lr": 0.5}, {"init": "zero"}, {"images_per_class": 20}, {"data": "heliconius"})):
        book("seran_d, paper", 0, 100, **other, run_id=f"other {number}")
    assert rows()["seed"].tolist() == [0, 1, 2] and set(rows()["model"]) == {"seran_d, paper"}


def test_a_third_of_the_errors_reaches_two_and_not_four(book):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 100)
    three_seeds(book, PRETRAINED, 100)
    table = beyond.comparison(rows())
    assert table.loc[SCRATCH, "times"] == pytest.approx(300.5 / 100.5, rel=0.01)
    # the seeds agree to the image, and still the choice of three times 1,000 test images leaves some of it open
    assert 2 < table.loc[SCRATCH, "low"] < 2.9 < 3.1 < table.loc[SCRATCH, "high"] < 4
    assert table.loc["seran_d, paper", ["error", "times", "effort"]].tolist() == [30, 1, 1]
    assert beyond.goal_table(table)["verdict"].tolist() == ["reached", "not reached"]


def test_one_seed_of_seran_d_has_no_interval_however_often_others_ran(book):
    book("seran_d, paper", 0, 300)
    three_seeds(book, PRETRAINED, 100)
    table = beyond.comparison(rows())
    assert 2.9 < table.loc[PRETRAINED, "times"] < 3.1 and np.isnan(table.loc[PRETRAINED, "low"])
    assert beyond.goal_table(table)["verdict"].tolist() == ["not run", "not run"]


def test_half_the_errors_can_not_be_told(book):
    for seed, (base, other) in enumerate([(300, 160), (320, 150), (310, 155)]):
        book("seran_d, paper", seed, base)
        book(SCRATCH, seed, other)
    verdict = beyond.goal_table(beyond.comparison(rows())).iloc[0]
    assert verdict["low"] < 2 < verdict["high"] and verdict["verdict"] == "cannot tell"


def test_who_took_longer_is_not_judged_and_validation_chooses(book):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 50, minutes=11.5)
    three_seeds(book, "seran_d, sizes", 100, minutes=10.9, valid=9.0)
    three_seeds(book, "seran_d, views", 60, valid=12.0)
    book("seran_d, start", 0, 10)  # one seed is not enough
    three_seeds(book, PRETRAINED, 30, minutes=12)
    verdicts_now = beyond.goal_table(beyond.comparison(rows()))
    assert verdicts_now["judged"].tolist() == ["seran_d, sizes", ""]
    assert verdicts_now["verdict"].tolist() == ["reached", "none in time"]


def test_times_are_compared_on_the_same_kind_of_device_only(book):
    three_seeds(book, "seran_d, paper", 300)
    other = {"device": "a slower CPU", "precision": "fp32"}
    three_seeds(book, SCRATCH, 100, minutes=32, **other)
    table = beyond.comparison(rows())
    assert np.isnan(table.loc[SCRATCH, "effort"])
    assert beyond.goal_table(table)["verdict"].tolist() == ["not run", "not run"]
    three_seeds(book, "seran_d, start", 150, minutes=30, **other)  # the same steps as by the paper's recipe
    table = beyond.comparison(rows())
    assert table.loc[[SCRATCH, "seran_d, start"], "effort"].tolist() == pytest.approx([32 / 30, 1.0])
    assert beyond.goal_table(table)["judged"].tolist() == [SCRATCH, ""]


def test_paired_tests_by_hand(book):
    book("seran_d, paper", 0, 12)
    book(SCRATCH, 0, 2)  # of the same images: ten are won, none is lost
    test = beyond.paired(rows()).iloc[0]
    assert test["better"] == SCRATCH and test["points"] == pytest.approx(1.0)
    assert test["p"] == pytest.approx(2 * 0.5**10) and test["holm"] == pytest.approx(7 * test["p"]), "of seven ways"


def test_errors_on_kinds_that_imagenet_knows(book):
    labels = ["monarch"] * 100 + ["viceroy"] * 900
    book("seran_d, paper", 0, 190, labels=labels)
    table = beyond.errors_by_familiarity(rows())
    assert table.loc["seran_d, paper"].tolist() == pytest.approx([100, 10, 100, 900])


def test_the_figure_says_what_was_not_run(book):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 100)
    figure = beyond.plot_ways({"butterfly100": beyond.comparison(rows())})
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said.count("not run") == 6 and "30.0 %, 1.0 of time" in said and "10.0 %, 1.0 of time" in said
    plt.close(figure)


def test_the_step_tried_on_field_photographs_has_the_lowest_validation_error_of_the_ladder():
    ladder = verdicts.study_rows("ladder", "laptop", PINNED).groupby("recipe")["valid_top1_error"]
    assert ladder.mean()[ladder.size() == 3].idxmin() == BEST_STEP


def test_the_lighter_network_has_the_lowest_validation_error_and_computes_no_more_than_seran_d():
    errors = verdicts.study_rows("tables", "laptop", PINNED).groupby("model")["valid_top1_error"].mean()
    assert errors.idxmin() == LIGHTER
    laptop = PROFILES["laptop"]
    lighter, base = (
        describe(create_model(n, 100, width=laptop.width), laptop.size).gmacs for n in (LIGHTER, "seran_d")
    )
    assert LIGHTER_EPOCHS * lighter <= laptop.epochs * base < (LIGHTER_EPOCHS + 1) * lighter


def test_a_study_counts_runs_of_its_own_recipe_only(book):
    """A run by the paper's recipe is not one of the ladder's, nor the reverse."""
    three_seeds(book, "seran_d, paper", 300)
    book("seran_d, views", 0, 100)
    book("efficientnet_lite0, frozen", 0, 50)
    found = {name: len(verdicts.study_rows(name, "laptop", "butterfly100")) for name in ("tables", "ladder", "frozen")}
    assert found == {"tables": 3, "ladder": 1, "frozen": 1}
