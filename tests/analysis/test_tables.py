"""What the tables of chapters 09 and 10 say of answers and runs that are known one by one."""

import shutil

import pandas as pd
import pytest
from simulated import add_runs

from seran_lib import cli, paths
from seran_lib.analysis import conditions, errors, tables
from seran_lib.analysis.select import Evidence
from seran_lib.book import readme
from seran_lib.book.plots import results as result_plots
from seran_lib.paths import ROOT


def answered(results, labels, predicted):
    """One run of SERAN-D that named images so."""
    names = [f"{k:03}" for k in range(len(labels))]
    answers = pd.DataFrame({"image_id": names, "group": names, "label": labels, "predicted": predicted})
    results.save("predictions", "known", answers)
    run = pd.DataFrame({"run_id": ["known"], "model": ["seran_d"], "seed": [0], "temperature": [1.0]})
    return laptop(results).answers(run)


def laptop(results):
    return Evidence(results, "laptop")


def test_errors_and_confusions_are_of_the_species_shown_and_not_of_the_one_named(results):
    """Two of eight ants are taken for bees, no bee for an ant."""
    answers = answered(results, ["ant"] * 8 + ["bee"] * 4, ["bee"] * 2 + ["ant"] * 6 + ["bee"] * 4)
    assert errors.species_errors(answers)["error"].to_dict() == {"ant": 0.25, "bee": 0}
    (pair,) = errors.confusions(answers).to_dict("records")
    assert pair == {"one": "ant", "other": "bee", "one_for_other": 2, "other_for_one": 0, "images": 12}


def test_in_the_macro_error_a_rare_species_counts_as_much(results):
    answers = answered(results, ["ant"] * 2 + ["bee"] * 8, ["bee"] * 10)
    assert errors.macro_errors(answers)["macro"].tolist() == [0.5]


def test_the_change_of_a_ratio_is_that_after_the_other_training_over_the_usual(results):
    add_runs(results, {"resnet101": 0.4, "seran_d": 0.2}, n=4000, noise=0.01)
    add_runs(results, {"resnet101": 0.2, "seran_d": 0.2}, n=4000, noise=0.01, epochs=32)
    cell = conditions.condition_changes(laptop(results)).loc["ResNet-101 / SERAN-D", "32 epochs / as in the tables"]
    assert float(cell.split()[0]) == pytest.approx(0.5, rel=0.1)


def test_separation_is_that_of_every_seed_with_mean_and_range(results):
    """The network of seed 0 is surer of every test image than of any unknown one, that of seed 1 surer of none."""
    add_runs(results, {"seran_d": 0.2}, seeds=(0, 1), n=100)
    for seed, sure in ((0, 0.1), (1, 1.1)):
        answers = pd.DataFrame({"image_id": ["x", "y"], "predicted": "venus", "probability": sure})
        results.save("unknowns", f"heliconius-laptop-seran_d-e8-s{seed}", answers)
    row = tables.separations(laptop(results)).loc["heliconius"]
    error = results.rows()["test_top1_error"].mean()
    assert row.pop("error") == pytest.approx(error, abs=0.05) and error > 10
    assert row.to_dict() == {"network": "seran_d-e8", "seeds": 2, "mean": 0.5, "lowest": 0, "highest": 1}


@pytest.fixture
def three_seeds(results):
    """Of SERAN-D, with errors that are known to the digit."""
    for seed in range(3):
        rates = {
            "valid_top1_error": 9 + 10 * seed,
            "test_top1_error": 10 + 10 * seed,
            "test_top5_error": 1 + seed,
            "test_macro_error": 12 + 12 * seed,
        }
        add_runs(results, {"seran_d": 0.2}, seeds=(seed,), n=50, parameters=2_345_678, **rates)


def test_the_table_of_errors_has_means_and_spread_over_seeds(three_seeds, results):
    shown = tables.error_table(laptop(results), "heliconius", ["seran_d", "seran"])
    assert shown.loc["SERAN-D"].tolist() == ["13.58", "13.24", 3, "19.0", "20.0 ± 10.0", "2.0", "24.0", "2.35 M"]
    assert shown.loc["SERAN"].tolist() == ["15.28", "15.78", 0, "", "not run", "", "", ""]


def test_the_readmes_table_of_errors_has_the_papers_beside_ours(three_seeds, results):
    lines = readme.errors_block(laptop(results)).splitlines()
    assert lines[0] == "| model | paper, test | paper, validation | heliconius | seeds | parameters (heliconius) |"
    assert "| `seran_d` | 13.58 | 13.24 | 20.0 ± 10.0 | 3 | 2.35 M |" in lines
    assert "| `seran_d_no_se` |  | 19.65 | not run |  |  |" in lines


def test_the_readmes_table_of_speeds_takes_models_compared_alike_together():
    alike = {"instead_of": "plain", "unit": "images/s", "machine": "CPU"}
    rows = [
        alike | {"what": "training resnet101, 96 px", "ours": 300.0, "theirs": 100.0, "ratio": 3.0},
        alike | {"what": "training seran, 96 px", "ours": 100.0, "theirs": 100.0, "ratio": 1.0},
        alike | {"what": "training seran_d, 96 px", "ours": 200.0, "theirs": 50.0, "ratio": 4.0},
        alike | {"what": "reading", "ours": 2.5, "theirs": 1.25, "ratio": 2.0, "unit": "ms", "machine": "A100"},
    ]
    assert readme.speed_block(pd.DataFrame(rows)).splitlines()[2:] == [
        "| training 3 models, 96 px | 200 images/s | plain: 100 | 3 (1 to 4) |",
        "| reading | 2.5 ms | plain: 1.25 | 2 |",
        "",
        "Medians. Measured on: A100, CPU.",
    ]


def test_a_run_without_its_predictions_is_named_and_nothing_is_written(three_seeds, results, monkeypatch, capsys):
    missing = results.file("predictions", results.rows()["run_id"][0])
    missing.unlink()
    monkeypatch.setattr(paths, "results", lambda: results.folder)
    monkeypatch.setattr(readme, "README", results.folder / "README.md")
    shutil.copy(ROOT / "README.md", results.folder)
    before = readme.README.read_bytes()
    assert cli.main(["table", "--profile", "laptop"]) == 1
    assert capsys.readouterr().err.startswith(f"seran table: {missing} is missing")
    assert readme.README.read_bytes() == before


def test_names_beside_a_figure_stand_apart_and_no_farther_from_their_points_than_that_takes():
    costs = pd.DataFrame({"parameters": [1e6, 2e6, 3e6], "gmacs": 1}, index=["seran", "senet154", "resnet152"])
    errors = pd.DataFrame({"error": [20.1, 20.0, 40.0]}, index=costs.index)
    (axis, _) = result_plots.plot_cost(costs, {"heliconius": errors}).axes
    places = {label.get_text(): label.xyann[1] for label in axis.texts}
    assert list(places) == ["SENet-154", "SERAN", "ResNet-152"], "in the order of their points"
    assert places["SERAN"] - places["SENet-154"] == pytest.approx(0.085)
    low, high = axis.get_ylim()
    assert places["ResNet-152"] == pytest.approx((40 - low) / (high - low)), "nothing is in its way"


def test_a_ring_marks_the_lowest_of_a_line_that_is_whole():
    errors = pd.DataFrame({0.001: [30.0, 20.0], 0.002: [10.0, 15.0], 0.004: [20.0, None]}, index=["seran_d", "seran"])
    (axis,) = result_plots.plot_rates(errors).axes
    rings = [line.get_xydata().tolist() for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert rings == [[[0.002, 10.0]]]
    assert [label.xy for label in axis.texts] == [(0.002, 15.0), (0.004, 20.0)], "a name is at the end of its line"
