"""Which way a claim is read: effects that are planted in runs nobody trained, and the verdicts they must get."""

import itertools

import pytest
from simulated import add_runs

from seran_lib.analysis import claims, studies, verdicts
from seran_lib.analysis.errors import look_alike_errors
from seran_lib.analysis.select import Evidence


def verdicts_on(results, claim):
    return claims.verdict_table(Evidence(results, "laptop")).query(f"claim == '{claim}'")["verdict"].tolist()


def test_se_that_separates_look_alikes_speaks_for_c8(results):
    """Without it as many errors, and more of them within look-alikes."""
    add_runs(results, {"seran_d": 0.2}, n=2000, look_alike_share=0.1, noise=0.02)
    add_runs(results, {"seran_d_no_se": 0.2}, n=2000, look_alike_share=0.5, noise=0.02)
    evidence = Evidence(results, "laptop")
    answers = evidence.answers(evidence.study("tables", "heliconius"))
    assert verdicts.look_alike_ratio(look_alike_errors(answers, "heliconius")).low > 1
    assert verdicts_on(results, "C8") == ["agrees"]


@pytest.mark.parametrize(
    ("few_epochs_or_images", "many_epochs", "verdict"), [(0.4, 0.1, "agrees"), (0.1, 0.4, "contradicts")]
)
def test_c5_wants_the_gap_wider_with_few_epochs_and_with_few_images(
    results, few_epochs_or_images, many_epochs, verdict
):
    """The errors are ResNet-101's; SERAN-D has 0.2 throughout."""

    def add(resnet101, **condition):
        add_runs(results, {"resnet101": resnet101, "seran_d": 0.2}, n=2000, noise=0.02, **condition)

    add(0.2)
    add(many_epochs, epochs=32)
    add(few_epochs_or_images, images=20)
    assert verdicts_on(results, "C5") == [verdict, verdict]


@pytest.mark.parametrize("order", list(itertools.permutations((5e-4, 1e-3, 2e-3))))
def test_a_learning_rate_is_chosen_on_validation_images_and_of_equals_the_smaller(results, order):
    validated = {5e-4: 10.0, 1e-3: 10.0, 2e-3: 12.0, 4e-3: 20.0}
    tested = {5e-4: 0.3, 1e-3: 0.2, 2e-3: 0.1, 4e-3: 0.4}
    for lr in (*order, 4e-3):
        add_runs(results, {"seran_d": tested[lr]}, seeds=(0,), lr=lr, valid_top1_error=validated[lr], noise=0)
    assert Evidence(results, "laptop").rates["seran_d"] == 5e-4


@pytest.mark.parametrize("change", [{"recipe": "start"}, {"wiring": "port"}, {"init": "zero"}])
def test_a_learning_rate_is_not_chosen_by_runs_that_differ_in_more_than_it(results, change):
    for lr in studies.RATES:
        add_runs(results, {"seran_d": 0.1 + 10 * lr}, seeds=(0,), lr=lr, noise=0)
        add_runs(results, {"seran_d": 0.05 - 10 * lr}, seeds=(0,), lr=lr, noise=0, **change)
    assert Evidence(results, "laptop").rates["seran_d"] == min(studies.RATES)
