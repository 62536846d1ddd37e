"""The runs of protocol 2: own rates by validation images, precision by seed, and nothing before its rate is chosen."""

from collections import Counter

import pytest
from rows import some_row

from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies2 import FIELD, FIVE, PINNED, STUDIES2, TWELVE, on_the_edge, own_rate, rates_to_try
from seran_lib.nets import list_models
from seran_lib.train.ledger import Results
from seran_lib.train.settings import IDENTITY

MIDDLE = {1e-3: 40.0, 4e-3: 30.0, 8e-3: 35.0}
ALL = dict.fromkeys(TWELVE, MIDDLE)


def row_of(run, error):
    named = {name: getattr(run, name) for name in (*IDENTITY, "profile", "model", "seed")}
    return some_row(**named, data=run.data_name, valid_top1_error=error)


@pytest.mark.parametrize(
    ("errors", "asked", "chosen"),
    [
        ({}, (1e-3, 4e-3, 8e-3), None),
        ({1e-3: 40.0, 8e-3: 30.0}, (1e-3, 4e-3, 8e-3), None),
        (MIDDLE, (1e-3, 4e-3, 8e-3), 4e-3),
        ({1e-3: 40.0, 4e-3: 30.0, 8e-3: 30.0}, (1e-3, 4e-3, 8e-3), 4e-3),
        ({1e-3: 40.0, 4e-3: 30.0, 8e-3: 29.0}, (1e-3, 4e-3, 8e-3, 1.6e-2), None),
        ({1e-3: 40.0, 4e-3: 30.0, 8e-3: 29.0, 1.6e-2: 31.0}, (1e-3, 4e-3, 8e-3, 1.6e-2), 8e-3),
        ({1e-3: 20.0, 4e-3: 30.0, 8e-3: 29.0, 5e-4: 22.0}, (1e-3, 4e-3, 8e-3, 5e-4, 2e-3), None),
        ({1e-3: 20.0, 4e-3: 30.0, 8e-3: 29.0, 5e-4: 22.0, 2e-3: 19.0}, (1e-3, 4e-3, 8e-3, 5e-4, 2e-3), 2e-3),
    ],
)
def test_the_own_rate_has_the_lowest_validation_error_and_is_looked_for_beyond_the_edge(errors, asked, chosen):
    assert (rates_to_try(errors), own_rate(errors)) == (asked, chosen)


def test_an_optimum_that_still_lies_on_the_edge_is_known():
    edge = {1e-3: 40.0, 4e-3: 30.0, 8e-3: 29.0, 1.6e-2: 28.0}
    assert on_the_edge(edge) and not on_the_edge(edge | {1.6e-2: 31.0})


def test_the_plan_is_that_of_the_protocol():
    planned = {name: list(study.runs("laptop", study.data, ALL)) for name, study in STUDIES2.items()}
    assert {name: len(runs) for name, runs in planned.items()} == {
        "rates2": 36, "tables2": 46, "constant2": 6, "mimics2": 9, "layouts2": 6, "starts2": 6, "trained2": 12
    }  # fmt: skip
    for runs in planned.values():
        assert len({run.run_id for run in runs}) == len(runs)
        assert [run.seed for run in runs] == sorted(run.seed for run in runs)
        assert all(run.precision == ("bfloat16" if run.seed % 2 else "float32") for run in runs)
    assert Counter(run.lr for run in planned["rates2"]) == {1e-3: 12, 4e-3: 12, 8e-3: 12}
    tuned = [run for name, runs in planned.items() if name not in ("rates2", "constant2") for run in runs]
    assert {run.lr for run in tuned} == {4e-3}
    assert {run.model for run in planned["tables2"] if run.seed > 2} == set(FIVE)
    assert {(run.epochs, run.recipe, run.lr) for run in planned["constant2"]} == {(40, "constant", 1e-3)}
    assert {run.init for run in planned["starts2"]} == {"torch", "plain", "zero"}
    first = next(run for run in planned["tables2"] if (run.model, run.seed) == ("seran_d", 0))
    assert first in planned["rates2"] and first in planned["starts2"]
    assert first.run_id == "butterfly100-grouped-laptop-seran_d-e8-s0-lr0.004-float32"
    assert {model for study in STUDIES2.values() for model in study.models} <= set(list_models())


def test_a_study_waits_for_its_rates_and_for_its_own_set():
    some = {model: MIDDLE for model in FIVE}
    with pytest.raises(ValueError, match="rate of resnet101 is not chosen yet: run the study rates2"):
        list(STUDIES2["tables2"].runs("laptop", FIELD, some))
    assert len(list(STUDIES2["tables2"].runs("laptop", FIELD, some, FIVE))) == 25
    STUDIES2["tables2"].check("a set of my own")
    for data in (PINNED, "butterfly100"):
        with pytest.raises(ValueError, match=f"planned for {FIELD}, not for {data}"):
            STUDIES2["tables2"].check(data)


def test_rates_are_chosen_from_the_ledger(tmp_path):
    results = Results(tmp_path)
    tried = {"seran_d": {1e-3: 40.0, 4e-3: 30.0, 8e-3: 29.0}, "seran": {1e-3: 20.0}}
    runs = [run for run in STUDIES2["rates2"].runs("laptop", FIELD, tried) if run.lr < 0.01]
    for run in runs:
        if run.lr in tried.get(run.model, ()):
            results.append(row_of(run, tried[run.model][run.lr]))
    evidence = Evidence(results, "laptop")
    assert evidence.tried == tried
    (further,) = [run for run in STUDIES2["rates2"].runs("laptop", FIELD, evidence.tried) if run.lr > 0.01]
    assert (further.model, further.lr) == ("seran_d", 0.016)
    results.append(row_of(further, 31.0))
    assert own_rate(Evidence(results, "laptop").tried["seran_d"]) == 8e-3
