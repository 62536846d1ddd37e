"""From runs of known truth to verdicts, tables and figures; and what is said where runs are missing."""

import re
import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from simulated import LABELS, add_runs

from seran_lib import paths
from seran_lib.analysis import claims, conditions, errors, protocol, ratios, studies, verdicts
from seran_lib.analysis import tables as report
from seran_lib.analysis.calibration import calibration
from seran_lib.analysis.cells import ratio_text
from seran_lib.analysis.protocol import CONTRASTS, Contrast
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import CURVES, STUDIES
from seran_lib.book import readme
from seran_lib.book.plots import ledger as report_figures
from seran_lib.book.plots import style
from seran_lib.train import ledger
from seran_lib.train.ledger import Repeat, Results
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import command, resolve, settings_of

RATES = {
    "resnet101": 0.40, "resnet152": 0.42, "attention92": 0.28, "se_resnet101": 0.26, "senet154": 0.20, "seran": 0.21,
    "seran_d": 0.20, "seran_d_avg_pool": 0.14, "seran_d_no_se": 0.30, "seran_d_no_attention": 0.20,
}  # fmt: skip


def laptop(results):
    """The runs of the laptop profile as they are now."""
    return Evidence(results, "laptop")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Every study of heliconius but "tuned", and nothing else."""
    results = Results(tmp_path_factory.mktemp("results"))
    add_runs(results, RATES, n=4000, noise=0.03)
    long = {model: RATES[model] / 2 for model in CURVES} | {"resnet101": RATES["seran_d"] / 2}
    add_runs(results, long, n=4000, noise=0.03, epochs=32, seed=2)
    add_runs(results, {"seran_d": 0.10, "attention92": 0.14}, n=4000, wiring="port", seed=3)
    for rate, better in ((5e-4, 1.5), (2e-3, 0.8), (4e-3, 0.9)):
        add_runs(results, {m: better * e for m, e in RATES.items()}, n=4000, seeds=(0,), lr=rate, noise=0, seed=4)
    return results


def rows_of(results, data="heliconius", study="tables"):
    return laptop(results).study(study, data)


def contrasts_of(results):
    return verdicts.contrast_table(laptop(results), rows_of(results))


def verdict_of(table, worse, better):
    return table.set_index(["worse", "better"]).loc[(worse, better), "verdict"]


def test_verdicts_find_the_truth(whole):
    found = contrasts_of(whole)
    assert verdict_of(found, "seran_d_no_se", "seran_d") == "agrees"
    assert verdict_of(found, "seran_d_avg_pool", "seran_d") == "contradicts"
    assert verdict_of(found, "seran_d_no_attention", "seran_d") == "alike"
    assert verdict_of(found, "seran_d", "senet154") == "agrees", "a tie within the margin"
    row = found.set_index(["worse", "better"]).loc[("resnet101", "seran_d")]
    assert row["ours"] == pytest.approx(2, rel=0.15) and row["seeds"] == 3
    sizes = found.set_index(["worse", "better"])["size"]
    assert sizes["attention92", "seran_d"] == "possible", "1.4 in the paper and in truth"
    assert sizes["seran_d_avg_pool", "seran_d"] == "ruled out", "1.2 in the paper, 0.7 in truth"


def test_too_few_seeds_are_not_run_and_no_number_is_given(results):
    add_runs(results, RATES, seeds=(0, 1))
    found = contrasts_of(results)
    assert set(found["verdict"]) == {"not run"} and found[["ours", "low", "high", "p"]].isna().all(axis=None)
    assert found["paper"].notna().all()


@pytest.mark.parametrize(
    ("low", "high", "holm", "tie", "verdict"),
    [
        (1.1, 1.5, 0.01, False, "agrees"),
        (1.1, 1.5, 0.20, False, "leans: agrees"),
        (0.9, 1.5, 0.90, False, "cannot tell"),
        (0.95, 1.1, 0.90, False, "alike"),
        (0.5, 0.9, 0.01, False, "contradicts"),
        (0.5, 0.9, 0.20, False, "leans: contradicts"),
        (0.95, 1.1, np.nan, True, "agrees"),
        (0.95, 1.3, np.nan, True, "cannot tell"),
        (1.2, 1.5, np.nan, True, "contradicts"),
        (0.6, 0.8, np.nan, True, "contradicts"),
    ],
)
def test_the_rule(low, high, holm, tie, verdict):
    ratio = ratios.Ratio(np.sqrt(low * high), low, high, low * 1.01, high / 1.01, 0.5)
    assert protocol.decide(ratio, holm, tie=tie) == verdict


def test_holm_corrects_over_all_directed_contrasts(whole):
    found = contrasts_of(whole)
    directed = found[~found["tie"]]
    assert directed["holm"].notna().all() and found.loc[found["tie"], "holm"].isna().all()
    smallest = directed["p"].idxmin()
    assert directed["holm"][smallest] == pytest.approx(min(1, directed["p"][smallest] * len(directed)))


def test_what_is_not_run_yet_changes_no_correction(results):
    add_runs(results, {model: RATES[model] for model in ("resnet101", "seran_d")}, n=4000, noise=0.03)
    row = contrasts_of(results).dropna(subset="holm").squeeze()
    assert row["holm"] == pytest.approx(row["p"] * sum(not c.tie for c in CONTRASTS))
    with pytest.raises(ValueError, match="3 tests are more than the 2"):
        ratios.holm([0.1, 0.2, 0.3], 2)


def test_a_contrast_by_its_own_seeds(results):
    add_runs(results, RATES, n=4000, noise=0.03)
    rows = rows_of(results)
    design = ratios.BlockDesign(rows)
    middle, low, high = design.ratio_by_own_seeds("resnet101", "seran_d")
    assert middle == pytest.approx(design.ratio("resnet101", "seran_d").ratio) and low < 2 < high
    one = ratios.BlockDesign(rows[(rows["model"] != "resnet101") | (rows["seed"] == 0)])
    assert np.isnan(one.ratio_by_own_seeds("resnet101", "seran_d")[1])
    row = contrasts_of(results).set_index(["worse", "better"]).loc[("resnet101", "seran_d")]
    assert (row["own_low"], row["own_high"]) == (low, high)


def test_an_interval_is_no_shorter_than_test_images_make_it(results):
    """Two networks of few errors among others of many, whose common noise is small."""
    rare = {"seran_d": 0.004, "seran_d_no_se": 0.004}
    add_runs(results, RATES | rare, n=4000, noise=0)
    pair = ("seran_d_no_se", "seran_d")
    row = contrasts_of(results).set_index(["worse", "better"]).loc[pair]
    free = ratios.BlockDesign(rows_of(results)).ratio(*pair)
    by_images = verdicts.images_sd(verdicts.paired_tests(laptop(results), rows_of(results)))[pair]
    assert row["ours"] == free.ratio and row["high"] / row["low"] >= free.high / free.low
    assert np.log(row["high"] / row["low"]) / 2 >= 1.96 * by_images > 0.1


def test_ratios_by_species_and_by_look_alikes(whole):
    table = report.ratios_by_count(laptop(whole), "heliconius", conditions.TABLE2_CONTRASTS)
    assert list(table) == ["all errors", "mean over species", "within look-alikes", "outside look-alikes"]
    middle = table.map(lambda cell: float(cell.split()[0])).loc["SERAN-D, no SE / SERAN-D"]
    assert middle.to_numpy() == pytest.approx(1.5, rel=0.15)


def test_a_pair_of_which_the_paper_says_nothing_leaves_its_cell_empty():
    ratio = verdicts.paper_ratio(Contrast("", "senet154", "seran_d_no_attention"))
    assert ratio_text(ratio) == ""


def test_full_networks_are_laid_beside_small_ones_and_the_paper(results):
    add_runs(results, {"resnet101": 0.4, "se_resnet101": 0.2}, profile="colab", seeds=(0,), n=4000, noise=0)
    add_runs(results, {"resnet101": 0.3, "se_resnet101": 0.2}, n=4000, noise=0.02)
    (ratios,) = report.full_networks(laptop(results)).values()
    cells = ratios.loc["ResNet-101 / SE-ResNet-101"]
    assert cells["paper"].startswith("1.42 [")
    assert re.fullmatch(r"(1\.9\d|2\.0\d) \[1\.\d\d, 2\.\d\d\], 1 seed, images only", cells["profile colab"])
    assert re.fullmatch(r"1\.[45]\d \[.*\], 3 seeds", cells["profile laptop"])


def test_single_runs_are_counted_on_the_side_that_they_would_have_taken(results):
    add_runs(results, {"resnet101": 0.4, "seran_d": 0.2}, n=2000, noise=0.02)
    contrast = Contrast("T1", "resnet101", "seran_d")
    row = report.single_runs(laptop(results), "heliconius", [contrast]).iloc[0]
    assert (row["first worse"], row["first better"], row["of seeds"]) == (3, 0, 3)
    assert all(float(points) > 10 for points in row["points, seed by seed"].split(", "))


def test_repetitions_stand_beside_the_first_result(results):
    add_runs(results, {"seran_d": 0.2}, seeds=(0,), n=1000, precision="fp32")
    first = results.rows().iloc[0]
    assert report.repeats(laptop(results)).empty
    row = dict.fromkeys(field.name for field in fields(Repeat)) | {"run_id": first["run_id"], "precision": "bf16"}
    row |= {"test_top1_error": 2 * first["test_top1_error"], "other_answers": 250}
    results.append_repeat(Repeat(**row | {"utc": "2020-01-01T00:00:00Z"}))  # of a row that this one has replaced
    results.append_repeat(Repeat(**row | {"utc": ledger.now()}))
    ((_, shown),) = report.repeats(laptop(results)).iterrows()
    assert shown["then"].endswith("% in fp32") and shown["again"].endswith("% in bf16")
    assert shown["again / then"] == "2.00" and shown["answered otherwise"] == "25.0 %"


def test_a_set_may_have_a_number_for_its_name(results):
    add_runs(results, {"seran_d": 0.2}, data="2019", n=100)
    assert (results.rows()["data"] == "2019").all()


def test_one_name_for_two_sets_of_images_is_refused(results):
    add_runs(results, {"seran_d": 0.1}, n=300)
    add_runs(results, {"senet154": 0.1}, n=300, data_fingerprint="g")
    with pytest.raises(ValueError, match=r"heliconius.*different images.*another name"):
        rows_of(results)


def test_a_full_size_reproduction_fills_the_same_tables(results):
    """At its own number of epochs, on a set that no study names."""
    add_runs(results, RATES, profile="paper", data="ala", n=300)
    add_runs(results, {"seran_d": 0.2}, n=300)
    paper = Evidence(results, "paper")
    assert paper.or_else("laptop") == paper and list(paper.tables()) == ["ala"]
    verdict = claims.verdict_table(paper).set_index("claim")
    assert set(verdict.loc[["C1", "C2", "C3", "C4", "T1"], "data"]) == {"ala"}
    assert not verdict["verdict"].eq("not run").any() and "C8" not in verdict.index, "nobody named look-alikes there"
    for draw in report_figures.FIGURES.values():
        assert draw(paper).axes
    block = readme.results_block(laptop(results))
    assert "Profile `paper`, 40 epochs. *ala*" in block and block.count("Profile `laptop`, 8 epochs") == 1
    assert readme.results_block(paper).count("Profile `paper`") == 1


def test_the_papers_own_ratio_is_of_the_right_table():
    # Table 1, test: 967 and 695 of 5,118; Table 2, validation, for a variant that only stands there
    assert verdicts.paper_ratio(Contrast("", "attention92", "seran_d")).ratio == pytest.approx(967 / 695)
    assert verdicts.paper_ratio(Contrast("", "seran_d_no_se", "seran_d")).ratio == pytest.approx(
        19.65 / 13.24, rel=1e-3
    )


def test_studies_do_not_take_each_others_rows(whole):
    assert len(rows_of(whole)) == 30
    assert set(rows_of(whole, study="wiring")["wiring"]) == {"port"} and len(rows_of(whole, study="wiring")) == 6
    assert set(rows_of(whole, study="long")["epochs"]) == {32}
    assert set(rows_of(whole, study="rates")["lr"]) == set(studies.RATES) and len(rows_of(whole, study="rates")) == 40
    assert rows_of(whole, "butterfly100").empty


def test_more_seeds_of_the_closest_rivals_enter_where_the_tables_do(results):
    pair = ("seran_d_no_attention", "seran_d")
    add_runs(results, RATES, n=4000, noise=0.03)
    before = contrasts_of(results).set_index(["worse", "better"]).loc[pair]
    more = {model: RATES[model] for model in STUDIES["more_seeds"].models}
    add_runs(results, more | {"resnet152": 0.4}, seeds=(3, 4), n=4000, noise=0.03, seed=7)
    after = contrasts_of(results).set_index(["worse", "better"]).loc[pair]
    assert (before["seeds"], after["seeds"]) == (3, 5)
    assert np.log(after["high"] / after["low"]) < np.log(before["high"] / before["low"])
    assert set(rows_of(results).query("model == 'resnet152'")["seed"]) == {0, 1, 2}, "it was to have three"
    assert errors.mean_errors(rows_of(results), ["seran_d", "seran"])["seeds"].tolist() == [5, 3]


def test_the_readmes_parameters_are_all_of_one_set_for_they_depend_on_its_classes(results):
    add_runs(results, RATES)
    add_runs(results, {"seran_d": 0.3}, data="butterfly100", n=900, parameters=9_000_000)
    block = readme.errors_block(laptop(results))
    assert "| parameters (heliconius) |" in block and block.count("| 3.00 M |") == 10


def test_a_contrast_can_turn_with_the_training(whole):
    """After many epochs these ResNets err as SERAN-D does."""
    found = conditions.conditions(laptop(whole))
    assert list(found) == ["as in the tables", "32 epochs"], "one seed has each network's own rate, none a zero start"
    assert verdict_of(found["as in the tables"], "resnet101", "seran_d") == "agrees"
    assert verdict_of(found["32 epochs"], "resnet101", "seran_d") == "cannot tell"
    shown = conditions.condition_table(found)
    assert shown.index[-1] == "ResNet-101 / SERAN-D" and shown.loc[shown.index[-1], "32 epochs"].endswith("cannot tell")
    assert len(report_figures.forest_conditions(laptop(whole)).axes[0].get_yticks()) == len(shown) == 7


def test_crops_stand_beside_the_whole_photographs_and_are_no_set_of_their_own(results):
    add_runs(results, RATES, n=4000, noise=0.03)
    assert conditions.beside_usual(laptop(results), "cropped").empty
    add_runs(results, {"seran_d": RATES["seran_d"] / 2}, data=studies.CROPPED, n=4000, noise=0.03, seed=5)
    found = conditions.beside_usual(laptop(results), "cropped").loc["SERAN-D"]
    assert found["seeds"] == 3 and found["changed"] / found["usual"] == pytest.approx(0.5, rel=0.2)
    low, high = map(float, found["ratio"].split("[")[1].rstrip("]").split(","))
    assert 0.3 < low < high < 0.8
    assert laptop(results).sets() == ["heliconius"] == list(laptop(results).tables())


def test_rates_chosen_on_pinned_insects_stand_beside_the_tables_of_the_field(whole, results):
    shutil.copytree(whole.folder, results.folder, dirs_exist_ok=True)
    field = {"data": "butterfly100", "n": 2000}
    add_runs(results, {"seran_d": 0.4, "resnet101": 0.5}, seed=6, **field)
    assert conditions.beside_usual(laptop(results), "carried").empty
    for rate, error in ((2e-3, 0.2), (4e-3, 0.1)):  # the first is SERAN-D's own
        add_runs(results, {"seran_d": error}, seeds=(0,), lr=rate, seed=7, **field)
    ((model, found),) = conditions.beside_usual(laptop(results), "carried").iterrows()
    assert model == "SERAN-D" and found["seeds"] == 1 and found["ratio"] == ""
    assert found["usual"] == pytest.approx(40, abs=6) and found["changed"] == pytest.approx(20, abs=4)
    add_runs(results, {"resnet101": 0.5}, seeds=(0,), lr=2e-3, seed=7, **field)
    alone = report.single_runs(laptop(results), "butterfly100", protocol.CONTRASTS, study="carried")
    assert alone.index.tolist() == ["ResNet-101 – SERAN-D"]
    assert float(alone["points, seed by seed"].iloc[0]) == pytest.approx(30, abs=6) and alone["of seeds"].item() == 1


def test_the_grid_says_what_is_left_of_a_study(results):
    add_runs(results, {"seran_d": 0.2, "attention92": 0.2})  # 8 epochs of 2,400 images at 24 a second: 800 s
    add_runs(results, {"seran_d": 0.2}, seeds=(0,), wiring="port")
    state = report.progress(laptop(results)).set_index(["study", "data"])
    assert dict(state.loc[("wiring", "heliconius")].drop("asks")) == {
        "planned": 6, "done": 1, "hours": 0.1, "hours to go": 1.1,
    }  # fmt: skip
    assert state.loc[("cropped", "heliconius-curated"), "done"] == 0
    assert state["hours to go"].isna()["cropped", "heliconius-curated"]  # its size is not known
    assert state["hours to go"].isna()["rates", "heliconius"]  # most networks' pace is not known


def test_the_gap_at_few_epochs_against_many(whole):
    change = verdicts.change_of_ratio(rows_of(whole), rows_of(whole, study="long"), "resnet101", "seran_d")
    assert change.ratio == pytest.approx(2, rel=0.2) and protocol.decide_change(change) == "agrees"
    assert verdicts.change_of_ratio(rows_of(whole), rows_of(whole, study="start"), "resnet101", "seran_d") is None


def test_look_alikes_are_counted_apart(results):
    add_runs(results, {"seran_d": 0.1, "seran_d_no_se": 0.1}, n=4000, look_alike_share=0.2, noise=0)
    counted = errors.look_alike_errors(laptop(results).answers(rows_of(results)), "heliconius")
    total = rows_of(results).set_index(["model", "seed"])["wrong"]
    assert counted.groupby(["model", "seed"])["wrong"].sum().sort_index().tolist() == total.sort_index().tolist()
    share = counted.pivot_table(index="kind", values="wrong", aggfunc="sum")["wrong"]
    assert share["within"] / share.sum() == pytest.approx(0.2 * 4 / len(LABELS), abs=0.03)
    ratio = verdicts.look_alike_ratio(counted)
    assert ratio.low < 1 < ratio.high


def test_overfitting_looks_at_the_last_loss_against_the_lowest(whole):
    losses = report.losses(laptop(whole), rows_of(whole, study="long")).set_index("model")
    assert (losses.loc["seran_d_no_attention", "last"] > 1.05 * losses.loc["seran_d_no_attention", "lowest"]).all()
    assert (losses.loc["seran_d_no_se", "at_epoch"] == 32).all()
    assert claims.verdict_table(laptop(whole)).set_index("claim").loc["C6", "verdict"] == "agrees"


@pytest.mark.parametrize(
    ("without", "alone", "verdict"),
    [
        ([1.1, 1.2, 1.1], [1, 1, 1.04], "agrees"),
        ([1.1, 1.2, 1.04], [1, 1, 1], "cannot tell"),
        ([1.1, 1.2, 1.1], [1, 1, 1.1], "cannot tell"),
        ([1, 1, 1], [1, 1, 1], "contradicts"),
        ([1.1, 1.2, 1.1], [1.1, 1.2, 1.1], "contradicts"),
        ([1.1, 1.2], [1, 1, 1], "not run"),
    ],
)
def test_over_fitting_is_judged_by_every_seed(without, alone, verdict):
    assert protocol.decide_overfitting(without, alone) == verdict


def test_masks_are_judged_by_every_seed(results):
    add_runs(results, {"seran_d": 0.2}, n=100)

    def write(lows, high=1.0, draws=((0, 0.3), (1, 0.3))):
        for seed, low in enumerate(lows):
            run = {"run_id": f"heliconius-laptop-seran_d-e8-s{seed}", "subject": "all masks", "measure": "pointing"}
            middle = (low + high) / 2  # of the gain, whose interval over the images is from low to high
            values = {"trained": 0.3 + middle, "random": 0.3, "gain": middle} | {f"random {k}": d for k, d in draws}
            rows = [run | {"variant": v, "value": x, "low": low, "high": high} for v, x in values.items()]
            results.save("looks", run["run_id"], pd.DataFrame(rows))
        return claims.localisation(laptop(results), "heliconius")

    assert claims.localisation(laptop(results), "heliconius").empty
    assert protocol.decide_localisation(write([0.1, 0.1])) == "not run"
    assert protocol.decide_localisation(write([0.1, 0.1, 0.05])) == "agrees"
    assert protocol.decide_localisation(write([0.1, 0.1, -0.01])) == "cannot tell"
    assert protocol.decide_localisation(write([0, -0.2, -0.1])) == "cannot tell", "no gain is shown, nor a loss"
    found = write([-0.3, -0.2, -0.1], high=-0.05)
    assert protocol.decide_localisation(found) == "contradicts"
    assert found["low"].tolist() == pytest.approx([-0.3, -0.2, -0.1]), "draws that agree add nothing"
    row = claims.verdict_table(laptop(results)).set_index("claim").loc["C7"]
    assert row["ours"] == "0.18; 0.30" and row["verdict"] == "contradicts"
    found = write([-0.3, -0.2, -0.1], high=-0.05, draws=((0, 0.29), (1, 0.31)))
    assert found["low"].iloc[2] == pytest.approx(-0.075 - np.hypot(0.025, 12.706 * 0.01), rel=1e-3)
    assert protocol.decide_localisation(found) == "cannot tell", "two draws that differ say little of others"


def test_training_noise_is_what_test_images_do_not_explain(results):
    add_runs(results, RATES, n=2000, noise=0.15)
    assert verdicts.training_noise(laptop(results), rows_of(results)) == pytest.approx(0.15, rel=0.4)
    add_runs(results, RATES, n=600, noise=0, data="butterfly100")
    assert verdicts.training_noise(laptop(results), rows_of(results, "butterfly100")) < 0.05


def test_paired_tests_refuse_runs_on_other_images(results):
    add_runs(results, {"seran_d": 0.1}, seeds=(0,), n=300)
    add_runs(results, {"senet154": 0.1}, seeds=(0,), n=200)
    with pytest.raises(ValueError, match="different images"):
        verdicts.paired_tests(laptop(results), rows_of(results))


def test_species_confusions_macro_and_calibration(results):
    add_runs(results, {"seran_d": 0.2}, n=1000)
    rows, answers = rows_of(results), laptop(results).answers(rows_of(results))
    species = errors.species_errors(answers)
    assert species["n"].sum() == 3000 and (species["low"] <= species["error"]).all()
    assert species["error"].is_monotonic_decreasing
    pairs = errors.confusions(answers)
    assert (pairs["one_for_other"] + pairs["other_for_one"]).sum() == rows["wrong"].sum()
    macro = errors.macro_errors(answers)
    assert (macro["low"] < macro["macro"]).all() and (macro["macro"] < macro["high"]).all()
    calibrated = calibration(answers)
    assert calibrated["temperature"].tolist() == [1.3] * 3
    assert (calibrated["before"] < calibrated["after"]).all(), "they were too unsure before"


def test_the_learning_rate_with_the_lowest_validation_error_is_a_models_own(whole, results, tmp_path):
    assert laptop(whole).rates["senet154"] == 2e-3
    shown = report.rates(laptop(whole)).loc["SENet-154"]
    assert shown["chosen"] == 2e-3
    tested = rows_of(whole, study="rates").query("model == 'senet154'").set_index("lr")["test_top1_error"]
    assert shown["test at chosen"] == round(tested[2e-3], 2) != shown["test at 0.001"] == round(tested[1e-3], 2)
    assert set(rows_of(whole, study="tuned")["lr"]) == {2e-3} and len(rows_of(whole, study="tuned")) == 10
    ledger_without = pd.read_csv(whole.folder / "ledger.csv")
    ledger_without[ledger_without["lr"] != 4e-3].to_csv(tmp_path / "ledger.csv", index=False)
    assert not laptop(results).rates
    with pytest.raises(ValueError, match="run the study rates"):
        next(STUDIES["tuned"].runs("laptop", "heliconius", laptop(results).rates))


def test_the_protocol_names_models_and_claims_that_exist():
    models = {model for study in STUDIES.values() for model in study.models}
    assert {c.worse for c in CONTRASTS} | {c.better for c in CONTRASTS} <= models
    assert {c.claim for c in CONTRASTS} <= set(protocol.CLAIMS)
    runs = list(STUDIES["tables"].runs("laptop", "heliconius"))
    assert len({run.run_id for run in runs}) == 30 and {run.epochs for run in runs} == {PROFILES["laptop"].epochs}
    assert [run.seed for run in runs] == sorted(run.seed for run in runs), "what is finished first can be compared"
    with pytest.raises(ValueError, match="not for heliconius"):
        STUDIES["best_step"].check("heliconius")


def test_a_row_leads_back_to_its_settings_and_its_command(whole):
    for row in rows_of(whole, study="rates").to_dict("records"):
        row = pd.Series(row)
        assert settings_of(row).lr == row["lr"]
        assert ("--lr" in command(settings_of(row))) == (row["lr"] != PROFILES["laptop"].lr)
    port = rows_of(whole, study="wiring").iloc[0]
    assert "--wiring port" in command(settings_of(port)) and settings_of(port).wiring == "port"
    page = readme.runs_page(whole.rows())
    assert page.count("\n| `") == len(whole.rows())
    assert "[predictions](predictions/heliconius-laptop-seran_d-e8-s0.csv.gz)" in page


def test_rows_from_outside_a_git_clone_are_listed_too(results, tmp_path):
    add_runs(results, {"seran_d": 0.2}, n=100)
    rows = pd.read_csv(tmp_path / "ledger.csv").assign(git_commit="", dirty="")
    rows.to_csv(tmp_path / "ledger.csv", index=False)
    page = readme.runs_page(results.rows())
    assert page.count("| not in git |") == len(rows)


def test_the_readme_keeps_the_profile_that_it_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    for text, profile in (("Profile `colab`, 12 epochs.", "colab"), ("Nothing yet.", "laptop")):
        readme.README.write_text(f"<!-- results:begin, generated -->\n{text} Profile `paper`: not run.\n")
        assert readme.shown_now() == profile


def test_figures_are_the_same_bytes_each_time(whole, monkeypatch):
    quick = ("fig09_errors", "fig09_learning", "fig10_losses", "fig10_species")
    monkeypatch.setattr(report_figures, "FIGURES", {name: report_figures.FIGURES[name] for name in quick})
    style.use_book_style()
    monkeypatch.setattr(paths, "results", lambda: whole.folder)
    first, second = (readme.drawings("laptop") for _ in range(2))
    assert first == second and len(first) == len(quick)


@pytest.mark.parametrize(
    ("study", "models"),
    [
        ("tables", []),
        ("tables", ["seran_d"]),
        ("tables", ["resnet101", "seran_d"]),
        ("tables", ["seran_d_no_se"]),
        ("long", ["resnet101", "seran_d"]),
    ],
)
def test_everything_is_shown_however_little_was_run(results, study, models):
    ((epochs, _),) = STUDIES[study].pairs
    if models:
        add_runs(results, {model: 0.2 for model in models}, seeds=(0,), epochs=epochs, n=100)
    for draw in report_figures.FIGURES.values():
        assert draw(laptop(results)).axes
    block = readme.results_block(laptop(results))
    assert "not run" in readme.tables_block(laptop(results))
    assert f"| {len(models) if study == 'tables' else 0} of 30 |" in block
    summary = claims.summary(claims.verdict_table(laptop(results)))
    assert summary.empty or summary["heliconius"].str.contains("not run").all()
    for tables in (report.seeds_needed, report.rates, report.separations):
        tables(laptop(results))
    both = study == "tables" and len(models) == 2
    assert len(report.single_runs(laptop(results), "heliconius", CONTRASTS)) == both
    assert conditions.beside_usual(laptop(results), "start").empty
    assert conditions.condition_table(conditions.conditions(laptop(results))).empty


def test_unknown_profiles_show_the_laptops_runs(whole):
    assert all(Evidence(whole, name).or_else("laptop") == laptop(whole) for name in ("smoke", "paper", "laptop"))
    assert resolve("smoke", data=".").results != paths.results()
