"""The paper's facts: what is typed in agrees with itself, and every recorded oddity is one."""

import re

import numpy as np
import pytest

from seran_lib.paper import facts
from seran_lib.paper.grim import impossible_rates


def value(name):
    return facts.FACTS[name].value


def test_parts_add_up_to_the_images_kept():
    assert value("train_images") + value("valid_images") + value("test_images") == value("images_kept") == 34_525
    assert value("train_share") + value("valid_share") + value("test_share") == pytest.approx(1)


def test_seran_is_seran_d_less_six_se_and_one_attention_module():
    assert value("se_modules_seran_d") - value("se_modules_seran") == 6
    assert value("attention_modules_seran_d") - value("attention_modules_seran") == 1


def test_every_fact_names_a_section_of_the_paper():
    assert all(re.fullmatch(r"[234](\.[123])?", fact.section) for fact in facts.FACTS.values())
    assert all(re.fullmatch(r"[234](\.[123])?", oddity.section) for oddity in facts.ODDITIES)


def test_facts_cannot_be_changed():
    with pytest.raises(TypeError):
        facts.FACTS["test_images"] = facts.FACTS["valid_images"]
    with pytest.raises(AttributeError):
        facts.FACTS["test_images"].value = 5118


def test_tables_use_the_names_of_the_library_in_the_papers_order():
    assert list(facts.table1().index) == [
        "resnet101",
        "resnet152",
        "attention92",
        "se_resnet101",
        "seran",
        "seran_d",
        "senet154",
    ]
    assert list(facts.table2().index) == [
        "seran_d",
        "seran_d_avg_pool",
        "seran_d_no_se",
        "seran_d_no_attention",
        "seran",
    ]


def test_only_senet154_lacks_validation_rates_and_it_comes_from_the_text():
    table = facts.table1()
    assert list(table.index[table.isna().any(axis=1)]) == ["senet154"]
    assert table.loc["senet154", ["test_top1", "test_top5"]].tolist() == [13.33, 3.99]
    assert table.source["senet154"] == "section 4.2"


def test_top5_errors_are_below_top1_errors():
    table = facts.table1()
    assert (table.test_top5 < table.test_top1).all()
    assert (table.valid_top5 < table.valid_top1).drop("senet154").all()
    assert (facts.table2().valid_top5 < facts.table2().valid_top1).all()


def test_both_tables_agree_on_the_rows_they_share():
    columns = ["valid_top1", "valid_top5"]
    assert facts.table1().loc[["seran_d", "seran"], columns].equals(facts.table2().loc[["seran_d", "seran"], columns])


def test_table_rows_add_to_known_sums():
    # Sums of the printed columns: a slip in any one cell shows here.
    table = facts.table1().drop(index="senet154")[["valid_top1", "valid_top5", "test_top1", "test_top5"]]
    assert table.sum().round(2).tolist() == [118.33, 38.06, 118.46, 39.51]
    assert facts.table2()[["valid_top1", "valid_top5"]].sum().round(2).tolist() == [80.57, 23.70]


@pytest.mark.parametrize("claim", facts.CLAIMS, ids=lambda claim: claim.worse)
def test_stated_differences_against_the_rows_they_name(claim):
    table = {1: facts.table1, 2: facts.table2}[claim.table]()
    columns = [f"{claim.part}_top1", f"{claim.part}_top5"]
    gap = (table.loc[claim.worse, columns] - table.loc[claim.better, columns]).astype(float)
    agrees = np.allclose(gap, [claim.top1, claim.top5], atol=0.001)
    assert agrees == (claim.table == 1)  # the sentence on Table 2 is the recorded oddity


def test_the_odd_sentence_fits_the_rows_without_se_and_without_attention():
    table, claim = facts.table2()[["valid_top1", "valid_top5"]], facts.CLAIMS[2]
    gap = table.loc["seran_d_no_se"] - table.loc["seran_d_no_attention"]
    assert gap.tolist() == pytest.approx([claim.top1, claim.top5])
    loss = table.loc["seran_d_no_se"] - table.loc["seran_d"]
    assert loss.tolist() == pytest.approx([6.41, 1.90])


def test_rates_that_the_printed_set_sizes_rule_out():
    table, extra = facts.table1(), facts.table2().drop(index=["seran_d", "seran"])
    test = table[["test_top1", "test_top5"]].to_numpy().ravel().tolist()
    valid = table.drop(index="senet154")[["valid_top1", "valid_top5"]].to_numpy().ravel().tolist()
    valid += extra[["valid_top1", "valid_top5"]].to_numpy().ravel().tolist()
    assert impossible_rates(test, 5119) == [24.64, 13.33]
    assert impossible_rates(test, 5118) == []
    assert len(valid) == 18 and impossible_rates(valid, 5119) == [3.82, 4.74]


def test_attention92_and_se_resnet101_change_places_between_the_sets():
    table = facts.table1()
    assert table.valid_top1["attention92"] < table.valid_top1["se_resnet101"]
    assert table.test_top1["attention92"] > table.test_top1["se_resnet101"]
