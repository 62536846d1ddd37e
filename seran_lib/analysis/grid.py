"""How much of the protocol has been run, and what is left of it."""

import math

import pandas as pd

from seran_lib.analysis import verdicts
from seran_lib.analysis.protocol import STUDIES


def runs(profile: str) -> pd.DataFrame:
    """The ledger's rows that belong to any study, each once: studies share runs."""
    own = verdicts.data_sets(profile)  # any study can be done on a set that is none of the book's
    found = [
        verdicts.study_rows(name, profile, data)
        for name, study in STUDIES.items()
        for data in dict.fromkeys([*study.sets, *own])
    ]
    return pd.concat(found).drop_duplicates("run_id", ignore_index=True)


def state(profile: str) -> pd.DataFrame:
    """How much of each study is in the ledger: study, data, runs planned, runs done, hours they took, hours to go.

    The hours to go are of one run after another, at the median pace of a network's runs so far: missing where a network
    or a data set has none. Studies share runs, so neither hours can be added up.
    """
    found = runs(profile)
    seconds_an_image = 1 / found.groupby("model")["images_per_second"].median()
    sizes = found[found["images_per_class"] == 0].groupby("data")["train"].first()
    table = []
    for name, study in STUDIES.items():
        repeats = math.prod(map(len, (study.seeds, study.rates, study.recipes)))
        pace = seconds_an_image.reindex(study.models)
        for data in study.sets:
            rows = verdicts.own_rows(study, profile, data)
            epochs = repeats * sum(epochs for epochs, _ in study.planned(profile))
            left = epochs * pace.sum(skipna=False) - (rows["epochs"] * rows["model"].map(pace)).sum()
            left *= sizes.get(data, math.nan)
            planned, done = repeats * len(study.pairs) * len(study.models), len(rows)
            hours = [rows["seconds"].sum() / 3600, left / 3600 if done < planned else 0.0]
            table.append([name, study.asks, data, planned, done, *hours])
    columns = ["study", "asks", "data", "planned", "done", "hours", "hours to go"]
    return pd.DataFrame(table, columns=columns).round({"hours": 1, "hours to go": 1})
