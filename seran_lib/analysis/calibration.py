"""Do a network's probabilities mean what they say? Calibration, selective answers, and images of unknown classes."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 15) -> float | np.ndarray:
    """Expected calibration error, a share: the mean gap between the probability of a prediction and how often it is
    right, over `bins` bins of equally many images. Both arrays (n,); of `right` (draws, n) an error for each draw.

    Nguyen and O'Connor, EMNLP 2015, for bins of equal mass.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [np.abs(np.mean(probabilities[part]) - np.mean(right[..., part], axis=-1)) * len(part) for part in parts]
    return np.stack(gaps, axis=-1).sum(axis=-1) / len(order)


def calibration_by_chance(probabilities: np.ndarray, *, draws: int = 100, seed: int = 0) -> tuple[float, float]:
    """The calibration error that a network with exactly these probabilities (n,) has on so many images, shares: mean
    and standard deviation over `draws` in which each prediction is right as often as its probability says."""
    chance = np.random.default_rng(seed)
    errors = calibration_error(probabilities, chance.random((draws, len(probabilities))) < probabilities)
    return float(np.mean(errors)), float(np.std(errors))


def calibration(answers: pd.DataFrame) -> pd.DataFrame:
    """Per run of `Evidence.answers`: temperature, the calibration error (shares) before and after dividing by it, and
    what it would be after it by chance, were the probabilities exact, with its standard deviation; without the runs
    from before a temperature was fitted."""
    table = []
    runs = answers.groupby(["run_id", "model", "seed", "temperature"], sort=False)
    for (_, model, seed, temperature), mine in runs:
        right, calibrated = mine["right"].to_numpy(), mine["calibrated"].to_numpy()
        by_chance, sd = calibration_by_chance(calibrated)
        table.append(
            {
                "model": model,
                "seed": seed,
                "temperature": temperature,
                "before": calibration_error(mine["probability"].to_numpy(), right),
                "after": calibration_error(calibrated, right),
                "by chance": by_chance,
                "chance_sd": sd,
            }
        )
    return pd.DataFrame(table)


def risk_by_coverage(probabilities: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """The error among the images a network is surest of: columns coverage and risk, shares, a row per image answered.

    Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    answered = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~np.asarray(right, dtype=bool)[order])
    return pd.DataFrame({"coverage": answered / len(order), "risk": wrong / answered})


def separation(known: pd.DataFrame, unknown: pd.DataFrame) -> float:
    """How well the probability of a prediction tells test images from unknown ones: area under the ROC curve, 0.5 by
    chance, 1 where every test image gets a higher one."""
    probabilities = np.concatenate([known["probability"], unknown["probability"]])
    return float(roc_auc_score(np.repeat([1, 0], [len(known), len(unknown)]), probabilities))
