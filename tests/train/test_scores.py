"""Scores that are kept say what the scores said, in few bytes."""

import numpy as np
import pytest
from scipy.special import softmax

from seran_lib.train.ledger import Results
from seran_lib.train.scores import Scores, read_scores, save_scores


@pytest.fixture
def spread():
    """As a network of 100 classes gives them that is right in seven of ten."""
    rng = np.random.default_rng(0)
    targets = rng.integers(100, size=1800)
    scores = rng.normal(scale=2, size=(1800, 100)).astype(np.float32)
    scores[np.arange(1800), targets] += 6
    return Scores(scores, targets)


def test_answers_and_probabilities_survive_and_the_file_is_small(spread, tmp_path):
    results = Results(tmp_path)
    save_scores(results, "run", [f"species {k}" for k in range(100)], {"valid": spread, "test": spread})
    assert results.file("scores", "run").stat().st_size < 300_000
    for part in read_scores(results, "run").values():
        assert (part.targets == spread.targets).all()
        assert (part.scores[np.arange(1800), spread.scores.argmax(axis=1)] == 0).all()  # the best stay the best
        assert (part.scores.argmax(axis=1) == spread.scores.argmax(axis=1)).mean() > 0.999  # but for equals
        for temperature in (0.5, 1, 2):
            kept, given = (softmax(each / temperature, axis=1) for each in (part.scores, spread.scores))
            assert np.abs(kept - given).max() < 0.01


def test_a_finished_run_has_its_scores(trained):
    settings, row = trained
    kept = read_scores(settings.results, settings.run_id)
    assert {part: len(scores.targets) for part, scores in kept.items()} == {"valid": row["valid"], "test": row["test"]}
    wrong = kept["test"].scores.argmax(axis=1) != kept["test"].targets
    assert 100 * wrong.mean() == pytest.approx(row["test_top1_error"], abs=1e-3)


def test_runs_from_before_scores_were_kept_have_none(tmp_path):
    assert read_scores(Results(tmp_path), "run") == {}
