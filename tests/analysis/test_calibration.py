"""Calibration, selective answers and separation by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from seran_lib.analysis import calibration


def test_calibration_error_by_hand():
    sure = np.array([0.9] * 10 + [0.6] * 10)
    right = np.array([True] * 7 + [False] * 3 + [True] * 6 + [False] * 4)
    assert calibration.calibration_error(sure, right, bins=2) == pytest.approx((0.2 + 0) / 2)
    assert calibration.calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0


def test_calibration_by_chance_of_coins_thrown_twice_a_bin():
    """Two throws are half a throw off as often as not, and else not at all."""
    mean, sd = calibration.calibration_by_chance(np.full(30, 0.5), draws=2000)
    assert mean == pytest.approx(0.25, abs=0.005) and sd == pytest.approx(0.25 / math.sqrt(15), rel=0.1)
    assert calibration.calibration_by_chance(np.ones(30)) == (0, 0)


def test_risk_by_coverage_answers_the_surest_first():
    table = calibration.risk_by_coverage(np.array([0.9, 0.2, 0.8, 0.5]), np.array([True, False, False, True]))
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["risk"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])


def test_separation_is_chance_for_alike_and_whole_for_apart():
    known = pd.DataFrame({"probability": [0.9, 0.8, 0.95]})
    assert calibration.separation(known, pd.DataFrame({"probability": [0.3, 0.5]})) == 1
    assert calibration.separation(known, known) == 0.5
