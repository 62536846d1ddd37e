"""The figures of chapters 09 and 10, one function each, drawn from the ledger.

`seran table` draws all of `FIGURES` again; the chapters draw the same ones.
"""

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from seran_lib.analysis.calibration import risk_by_coverage
from seran_lib.analysis.conditions import SHARED_AND_OWN, TABLE1_CONTRASTS, TABLE2_CONTRASTS, conditions, contrasts
from seran_lib.analysis.errors import look_alike_errors, mean_errors, species_errors
from seran_lib.analysis.protocol import LOOK_ALIKES
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.stats import wilson
from seran_lib.analysis.studies import CURVE_EPOCHS, CURVE_IMAGES, CURVES, PINNED
from seran_lib.analysis.tables import answers_to_unknowns, validation_errors_by_rate
from seran_lib.analysis.verdicts import PAPER_TEST, noise_parts, paired_tests
from seran_lib.book.plots import results
from seran_lib.nets import describe_model
from seran_lib.paper import facts
from seran_lib.train.profiles import PROFILES, TABLE1

CONDITION_COLOURS = ("good", "doubt", "other", "ours")  # the tables' in the colour that these insects have there


def _with(evidence: Evidence, model: str) -> dict[str, pd.DataFrame]:
    return {data: rows for data, rows in evidence.tables().items() if rows["model"].eq(model).any()}


def errors(evidence: Evidence) -> Figure:
    """Table 1 of the paper beside ours."""
    table = facts.table1().sort_values("test_top1", ascending=False)
    n = PAPER_TEST
    bounds = [wilson(round(rate * n / 100), n) for rate in table["test_top1"]]
    low, high = ([100 * bound[side] for bound in bounds] for side in (0, 1))
    return results.plot_errors(pd.DataFrame({"error": table["test_top1"], "low": low, "high": high}), evidence.tables())


def forest_table1(evidence: Evidence) -> Figure:
    """Ratios of errors behind the claims on Table 1."""
    return _forest(contrasts(evidence, TABLE1_CONTRASTS))


def forest_table2(evidence: Evidence) -> Figure:
    """Ratios of errors behind the claims on Table 2."""
    return _forest(contrasts(evidence, TABLE2_CONTRASTS))


def forest_conditions(evidence: Evidence) -> Figure:
    """The same ratios after other trainings."""
    return _forest(conditions(evidence), CONDITION_COLOURS)


def forest_own_rates(evidence: Evidence) -> Figure:
    """Ratios of errors behind the claims on Table 1, at one rate for all and at each network's own."""
    return _forest(conditions(evidence, TABLE1_CONTRASTS, SHARED_AND_OWN), CONDITION_COLOURS[::3])


def _forest(tables: dict[str, pd.DataFrame], colours: Sequence[str] = results.SET_COLOURS) -> Figure:
    return results.plot_forest(tables, colours) if tables else results.not_run()


def noise(evidence: Evidence) -> Figure:
    """Test images and training as sources of noise."""
    parts = {data: noise_parts(paired_tests(evidence, rows)) for data, rows in evidence.tables().items()}
    parts = {data: table for data, table in parts.items() if len(table)}
    return results.plot_noise(parts) if parts else results.not_run()


def learning(evidence: Evidence) -> Figure:
    """Error over epochs and over images per class."""
    many, few = (
        pd.concat([evidence.study(study, PINNED) for study in ("tables", *studies)])
        for studies in (("epochs", "long"), ("images", "few_images"))
    )
    whole = few[few["images_per_class"] == 0]
    everything = round((whole["train"] / whole["classes"]).mean()) if len(whole) else 0  # of the mean class
    few["images_per_class"] = few["images_per_class"].replace({0: everything})
    planned = [images or everything for images in CURVE_IMAGES if images or everything]
    panels = {
        f"{PINNED}, epochs": (many.drop_duplicates("run_id"), "epochs", CURVE_EPOCHS),
        f"{PINNED}, images": (few.drop_duplicates("run_id"), "images_per_class", planned),
    }
    return results.plot_learning(panels, CURVES[:2])


def rates(evidence: Evidence) -> Figure:
    """Validation error over the learning rate."""
    errors = validation_errors_by_rate(evidence)
    return results.plot_rates(errors) if len(errors) else results.not_run()


def cost(evidence: Evidence) -> Figure:
    """Parameters and multiply-accumulates against error, of the models of Table 1."""
    errors = {data: mean_errors(rows, TABLE1) for data, rows in evidence.tables().items()}
    if not errors:
        return results.not_run()
    return results.plot_cost(_costs(PROFILES[evidence.profile].width, PROFILES[evidence.profile].size), errors)


@cache
def _costs(width: float, size: int) -> pd.DataFrame:
    described = {model: describe_model(model, 100, size, width=width) for model in TABLE1}
    return pd.DataFrame({m: {"parameters": d.parameters, "gmacs": d.gmacs} for m, d in described.items()}).T


def look_alikes(evidence: Evidence) -> Figure:
    """Errors within look-alikes and all others."""
    sets = {data: rows for data, rows in evidence.tables().items() if data in LOOK_ALIKES}
    if not sets:
        return results.not_run()
    tables = {data: look_alike_errors(evidence.answers(rows), data) for data, rows in sets.items()}
    return results.plot_look_alikes(tables, ("seran_d", "seran_d_no_se", "seran_d_no_attention"))


def losses(evidence: Evidence) -> Figure:
    """Losses over many epochs."""
    rows = evidence.study("long", PINNED)
    logs = {model: [] for model in CURVES}
    for row in rows.itertuples():
        logs[row.model].append(evidence.results.curve(row.run_id))
    return results.plot_losses(logs)


def species(evidence: Evidence) -> Figure:
    """Errors of every species."""
    tables = {
        data: species_errors(evidence.answers(rows[rows["model"] == "seran_d"]))
        for data, rows in _with(evidence, "seran_d").items()
    }
    return results.plot_species(tables) if tables else results.not_run()


def reliability(evidence: Evidence) -> Figure:
    """Calibration of SERAN-D, and risk against coverage of it and of ResNet-101, on the first data set."""
    both = [(data, rows) for data, rows in _with(evidence, "seran_d").items() if rows["model"].eq("resnet101").any()]
    if not both:
        return results.not_run()
    data, rows = both[0]
    answers = {model: evidence.answers(rows[rows["model"] == model]) for model in CURVES[:2]}
    risks = {model: risk_by_coverage(table["calibrated"], table["right"]) for model, table in answers.items()}
    return results.plot_reliability(answers, risks, data)


def unknowns(evidence: Evidence) -> Figure:
    """How sure SERAN-D is of test images and of images of none of its classes, over all seeds: by the paper's recipe,
    or by the first of the others whose weights have answered."""
    found = answers_to_unknowns(evidence)
    named = [(run.data, run.way) for run in found if run.way.startswith("seran_d-")]
    if not named:
        return results.not_run()
    chosen = [run for run in found if (run.data, run.way) == named[0]]
    known, unknown = (pd.concat(tables) for tables in zip(*((run.known, run.unknown) for run in chosen), strict=True))
    return results.plot_unknowns(known, unknown, f"{named[0][1]}, {named[0][0]}: {len(chosen)} seeds")


FIGURES = MappingProxyType(
    {
        "fig09_errors": errors,
        "fig09_forest": forest_table1,
        "fig09_noise": noise,
        "fig09_learning": learning,
        "fig09_rates": rates,
        "fig09_own_rates": forest_own_rates,
        "fig09_cost": cost,
        "fig10_forest": forest_table2,
        "fig10_conditions": forest_conditions,
        "fig10_look_alikes": look_alikes,
        "fig10_losses": losses,
        "fig10_species": species,
        "fig10_reliability": reliability,
        "fig10_unknowns": unknowns,
    }
)
