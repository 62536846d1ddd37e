"""Chapter 12's tables, from an invented ledger whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from simulated import row_of

from seran_lib import paths
from seran_lib.analysis import beyond
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import BEST_STEP, LIGHTER, LIGHTER_EPOCHS, PINNED
from seran_lib.book.plots.ways import plot_ways
from seran_lib.nets import create_model, describe
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import choose

IMAGES = 1000
SCRATCH, PRETRAINED = "seran_d, average", "efficientnet_lite0, finetune, 3 epochs"


@pytest.fixture
def book(results):
    """Writes a run of a way with so many wrong test images into an empty ledger."""
    known = {way.name: way for way in beyond.ways()}

    def write(name, seed, wrong, *, minutes=10.0, valid=0.0, labels=None, **other):
        way = known[name]
        chosen = {name: other[name] for name in ("lr", "init", "images_per_class", "wiring") if name in other}
        run = choose(
            "laptop", data=other.get("data", "butterfly100"), model=way.model, recipe=way.recipe, epochs=way.epochs,
            seed=seed, **chosen,
        )  # fmt: skip
        values = {
            "test": IMAGES, "temperature": 1.0, "test_macro_error": 50.0, "test_top1_error": 100 * wrong / IMAGES,
            "valid_top1_error": valid or 100 * wrong / IMAGES,
            "seconds": 60 * minutes, "device": "a CPU", "precision": "bf16",
        }  # fmt: skip
        results.append(row_of(run, **values | other))
        labels = labels or ["monarch"] * IMAGES
        answers = pd.DataFrame({"image_id": [f"{k:04d}" for k in range(IMAGES)], "label": labels})
        predicted = np.where(np.arange(IMAGES) < wrong, "another", answers["label"])
        results.save("predictions", run.run_id, answers.assign(predicted=predicted))

    return write


def three_seeds(book, name, wrong, **options):
    for seed, shift in enumerate((-4, 0, 4)):  # the same noise for all, so that ratios are nearly the same
        book(name, seed, wrong + shift * wrong // 100, **options)


@pytest.fixture
def rows(results):
    return lambda: beyond.way_rows(Evidence(results, "laptop"), "butterfly100")


@pytest.fixture
def comparison(results, rows):
    return lambda: beyond.comparison(Evidence(results, "laptop"), rows())


def test_without_runs_all_is_not_run(rows, comparison, results):
    table = comparison()
    assert len(table) == len(beyond.ways()) == 8 and not table["seeds"].any()
    assert set(beyond.goal_table(table)["verdict"]) == {"not run"}
    assert beyond.paired(Evidence(results, "laptop"), rows()).empty


def test_only_runs_as_planned_count(book, rows):
    three_seeds(book, "seran_d, paper", 400)
    book("seran_d, paper", 3, 400)
    for number, other in enumerate(({"lr": 0.5}, {"init": "zero"}, {"images_per_class": 20}, {"data": "heliconius"})):
        book("seran_d, paper", 0, 100, **other, run_id=f"other {number}")
    assert rows()["seed"].tolist() == [0, 1, 2] and set(rows()["model"]) == {"seran_d, paper"}


def test_a_third_of_the_errors_reaches_two_and_not_four(book, comparison):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 100)
    three_seeds(book, PRETRAINED, 100)
    table = comparison()
    assert table.loc[SCRATCH, "times"] == pytest.approx(300.5 / 100.5, rel=0.01)
    # the seeds agree to the image, and still the choice of three times 1,000 test images leaves some of it open
    assert 2 < table.loc[SCRATCH, "low"] < 2.9 < 3.1 < table.loc[SCRATCH, "high"] < 4
    assert table.loc["seran_d, paper", ["error", "times", "effort"]].tolist() == [30, 1, 1]
    assert beyond.goal_table(table)["verdict"].tolist() == ["reached", "not reached"]


def test_one_seed_of_seran_d_has_no_interval_however_often_others_ran(book, comparison):
    book("seran_d, paper", 0, 300)
    three_seeds(book, PRETRAINED, 100)
    table = comparison()
    assert 2.9 < table.loc[PRETRAINED, "times"] < 3.1 and np.isnan(table.loc[PRETRAINED, "low"])
    assert beyond.goal_table(table)["verdict"].tolist() == ["not run", "not run"]


def test_half_the_errors_can_not_be_told(book, comparison):
    for seed, (base, other) in enumerate([(300, 160), (320, 150), (310, 155)]):
        book("seran_d, paper", seed, base)
        book(SCRATCH, seed, other)
    verdict = beyond.goal_table(comparison()).iloc[0]
    assert verdict["low"] < 2 < verdict["high"] and verdict["verdict"] == "cannot tell"


def test_who_took_longer_is_not_judged_and_validation_chooses(book, comparison):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 50, minutes=11.5)
    three_seeds(book, "seran_d, sizes", 100, minutes=10.9, valid=9.0)
    three_seeds(book, "seran_d, views", 60, valid=12.0)
    book("seran_d, start", 0, 10)  # one seed is not enough
    three_seeds(book, PRETRAINED, 30, minutes=12)
    verdicts_now = beyond.goal_table(comparison())
    assert verdicts_now["judged"].tolist() == ["seran_d, sizes", ""]
    assert verdicts_now["verdict"].tolist() == ["reached", "none in time"]


def test_times_are_compared_on_the_same_kind_of_device_only(book, comparison):
    three_seeds(book, "seran_d, paper", 300)
    other = {"device": "a slower CPU", "precision": "fp32"}
    three_seeds(book, SCRATCH, 100, minutes=32, **other)
    table = comparison()
    assert np.isnan(table.loc[SCRATCH, "effort"])
    assert beyond.goal_table(table)["verdict"].tolist() == ["not run", "not run"]
    three_seeds(book, "seran_d, start", 150, minutes=30, **other)  # the same steps as by the paper's recipe
    table = comparison()
    assert table.loc[[SCRATCH, "seran_d, start"], "effort"].tolist() == pytest.approx([32 / 30, 1.0])
    assert beyond.goal_table(table)["judged"].tolist() == [SCRATCH, ""]


def test_paired_tests_by_hand(book, rows, results):
    book("seran_d, paper", 0, 12)
    book(SCRATCH, 0, 2)  # of the same images: ten are won, none is lost
    test = beyond.paired(Evidence(results, "laptop"), rows()).iloc[0]
    assert test["better"] == SCRATCH and test["points"] == pytest.approx(1.0)
    assert test["p"] == pytest.approx(2 * 0.5**10) and test["holm"] == pytest.approx(7 * test["p"]), "of seven ways"


def test_errors_on_kinds_that_imagenet_knows(book, rows, results):
    labels = ["monarch"] * 100 + ["viceroy"] * 900
    book("seran_d, paper", 0, 190, labels=labels)
    table = beyond.errors_by_familiarity(Evidence(results, "laptop").answers(rows()))
    assert table.loc["seran_d, paper"].tolist() == pytest.approx([100, 10, 100, 900])


def test_the_figure_says_what_was_not_run(book, comparison):
    three_seeds(book, "seran_d, paper", 300)
    three_seeds(book, SCRATCH, 100)
    figure = plot_ways({"butterfly100": comparison()})
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said.count("not run") == 6 and "30.0 %, 1.0 of time" in said and "10.0 %, 1.0 of time" in said
    plt.close(figure)


def test_the_step_tried_on_field_photographs_has_the_lowest_validation_error_of_the_ladder():
    ladder = Evidence(Results(paths.results()), "laptop").study("ladder", PINNED).groupby("recipe")["valid_top1_error"]
    assert ladder.mean()[ladder.size() == 3].idxmin() == BEST_STEP


def test_the_lighter_network_has_the_lowest_validation_error_and_computes_no_more_than_seran_d():
    errors = (
        Evidence(Results(paths.results()), "laptop").study("tables", PINNED).groupby("model")["valid_top1_error"].mean()
    )
    assert errors.idxmin() == LIGHTER
    laptop = PROFILES["laptop"]
    lighter, base = (
        describe(create_model(n, 100, width=laptop.width), laptop.size).gmacs for n in (LIGHTER, "seran_d")
    )
    assert LIGHTER_EPOCHS * lighter <= laptop.epochs * base < (LIGHTER_EPOCHS + 1) * lighter


def test_a_study_counts_runs_of_its_own_recipe_only(book, results):
    """A run by the paper's recipe is not one of the ladder's, nor the reverse."""
    three_seeds(book, "seran_d, paper", 300)
    book("seran_d, views", 0, 100)
    book("efficientnet_lite0, frozen", 0, 50)
    found = {
        name: len(Evidence(results, "laptop").study(name, "butterfly100")) for name in ("tables", "ladder", "frozen")
    }
    assert found == {"tables": 3, "ladder": 1, "frozen": 1}
