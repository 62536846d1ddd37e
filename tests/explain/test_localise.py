"""Scores of maps on cases whose answer is known by hand."""

import numpy as np
import pytest
import torch

from seran_lib.analysis.stats import mean_interval
from seran_lib.explain import localise
from seran_lib.explain.localise import enlarged, overlap, pointing, separation

INSECT = np.zeros((1, 10, 10), dtype=bool)
INSECT[0, :5, :4] = True  # 20 of 100 pixels


@pytest.mark.parametrize(("score", "chance"), [(pointing, 0.2), (overlap, 0.2 / 1.8), (separation, 0.5)])
def test_a_map_of_the_insect_scores_1_its_negative_0_and_a_flat_one_by_chance(score, chance):
    assert score(INSECT.astype(float), INSECT) == 1
    assert score(-INSECT.astype(float), INSECT) == pytest.approx(0)
    assert score(np.zeros((1, 10, 10)), INSECT) == pytest.approx(chance)


def test_scores_by_hand():
    """Ten of the twenty pixels of the insect are highest, then forty beside it, then the other ten."""
    values = np.zeros((1, 10, 10))
    values[0, :5, :2], values[0, 5:9, :] = 2, 1
    assert pointing(values, INSECT) == 1
    # the twenty highest are ten of the insect and, of forty that tie, ten beside it: 10 / (20 + 20 - 10)
    assert overlap(values, INSECT) == pytest.approx(10 / 30)
    # ten pixels above all 80; ten level with forty of them and below forty: (10 * 80 + 10 * 20) / 1600
    assert separation(values, INSECT) == pytest.approx(0.625)


def test_only_the_order_of_the_pixels_counts():
    rng = np.random.default_rng(0)
    values, insect = rng.random((5, 12, 12)), rng.random((5, 12, 12)) < 0.3
    for score in (pointing, overlap, separation):
        np.testing.assert_allclose(score(values, insect), score(np.exp(9 * values) - 3, insect))


def test_random_maps_score_by_chance_on_average():
    rng = np.random.default_rng(0)
    insect = np.zeros((400, 16, 16), dtype=bool)
    insect[:, 4:12, 4:12] = True
    values = rng.random(insect.shape)
    assert pointing(values, insect).mean() == pytest.approx(0.25, abs=0.06)
    assert overlap(values, insect).mean() == pytest.approx(0.25 / 1.75, abs=0.01)
    assert separation(values, insect).mean() == pytest.approx(0.5, abs=0.01)


def test_each_image_has_its_own_score():
    insect = np.concatenate([INSECT, ~INSECT])
    values = np.concatenate([INSECT, INSECT]).astype(float)
    for score in (pointing, separation):
        assert score(values, insect).tolist() == [1, 0]


def test_an_enlarged_map_is_highest_where_its_position_lies_in_the_picture():
    coarse = torch.zeros(1, 4, 4)
    coarse[0, 1, 2] = 1
    large = enlarged(coarse, 64)[0]
    rows, columns = np.nonzero(large == large.max())
    assert (rows.mean(), columns.mean()) == (23.5, 39.5)  # the middle of pixels 16 to 31 and 32 to 47


def test_the_centre_is_in_the_middle():
    assert localise.centre(9).argmax() == 4 * 9 + 4


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    found = np.array([mean_interval(rng.normal(2, 1, 60)) for _ in range(200)])
    assert (found[:, 1] < found[:, 0]).all() and (found[:, 0] < found[:, 2]).all()
    assert 0.89 < ((found[:, 1] < 2) & (found[:, 2] > 2)).mean() < 0.99


def test_interval_repeats_and_of_equal_values_is_a_point():
    values = np.random.default_rng(0).random(50)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(np.full(7, 0.25)) == (0.25, 0.25, 0.25)
