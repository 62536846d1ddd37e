"""Which rows of the ledger belong to which study: `Evidence`, all that tables, figures and verdicts read.

A row belongs to a study by `settings.IDENTITY`, that of the study's settings. A run that nobody did is missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from seran_lib.analysis.studies import CROPPED, PINNED, RATES, STUDIES, Study
from seran_lib.analysis.studies2 import trials
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import IDENTITY, Settings

RUN = ["run_id", "model", "seed", "temperature"]
NO_ANSWERS = pd.DataFrame(columns=[*RUN, "image_id", "group", "label", "predicted", "right"]).astype({"right": bool})


@dataclass(frozen=True)
class Evidence:
    """The runs of one profile in a folder of results, as they are when it is first read."""

    results: Results
    profile: str

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The ledger's rows of the profile."""
        rows = self.results.rows()
        return rows[rows["profile"] == self.profile]

    @cached_property
    def rates(self) -> dict[str, float]:
        """The learning rate of each model with the lowest validation error in the study "rates"; of equals, the
        smaller. Without the models whose runs are not complete."""
        runs = self.own(STUDIES["rates"], PINNED).sort_values(["valid_top1_error", "lr"])
        best = runs.groupby("model")["lr"].agg(["size", "first"])
        return best.loc[best["size"] == len(RATES), "first"].to_dict()

    @cached_property
    def tried(self) -> dict[str, dict[float, float]]:
        """Validation errors of the study "rates2" so far, in percent: model -> learning rate -> error."""
        rows = self._planned(trials(self.profile)).groupby("model")[["lr", "valid_top1_error"]]
        return {model: dict(own.itertuples(index=False)) for model, own in rows}

    def of(self, profile: str) -> "Evidence":
        """The runs of another profile."""
        return replace(self, profile=profile)

    def or_else(self, profile: str) -> "Evidence":
        """These runs where there are any of the tables, else those of another profile."""
        return self if self.tables() else self.of(profile)

    def own(self, study: Study, data: str) -> pd.DataFrame:
        """The ledger's rows that belong to this study alone, on the data set of that name."""
        if study.tuned:
            study = replace(study, models=tuple(model for model in study.models if model in self.rates))
        return self._planned(study.runs(self.profile, data, self.rates if study.tuned else {}))

    def _planned(self, runs: Iterable[Settings]) -> pd.DataFrame:
        """The ledger's rows of these runs."""
        planned = {tuple(getattr(run, name) for name in IDENTITY) for run in runs}
        same = [run in planned for run in self.rows[[*IDENTITY]].itertuples(index=False, name=None)]
        return self.rows[pd.Series(same, index=self.rows.index, dtype=bool)]

    def study(self, name: str, data: str) -> pd.DataFrame:
        """The ledger's rows that belong to a study of `STUDIES`, or to one that extends it, on one data set; `wrong`
        and `n` count test images.

        Raises ValueError where runs of one seed are of different images or splits.
        """
        extensions = (study for study in STUDIES.values() if study.extends == name and data in study.sets)
        rows = pd.concat([self.own(study, data) for study in (STUDIES[name], *extensions)])
        if (rows.groupby(["seed", "images_per_class"])["data_fingerprint"].nunique() > 1).any():
            raise ValueError(
                f"the ledger's runs on {data} are of different images: give the folder of one of the sets another "
                "name, and delete its rows"
            )
        wrong = (rows["test_top1_error"] * rows["test"] / 100).round().astype(int)
        rows = rows.assign(wrong=wrong, n=rows["test"])
        return rows.sort_values(["model", "seed", "epochs", "lr"], ignore_index=True)

    def sets(self) -> list[str]:
        """The data sets that have runs of the profile's epochs, the one with the most test images first."""
        rows = self.rows[(self.rows["epochs"] == PROFILES[self.profile].epochs) & (self.rows["data"] != CROPPED)]
        return rows.groupby("data")["test"].max().sort_values(ascending=False).index.tolist()

    def tables(self) -> dict[str, pd.DataFrame]:
        """Data set -> its rows of Tables 1 and 2, for the data sets that have any."""
        found = {data: self.study("tables", data) for data in self.sets()}
        return {data: rows for data, rows in found.items() if len(rows)}

    def runs(self) -> pd.DataFrame:
        """The rows that belong to any study, each once: studies share runs."""
        own = self.sets()  # any study can be done on a set that is none of the book's
        found = [
            self.study(name, data) for name, study in STUDIES.items() for data in dict.fromkeys([*study.sets, *own])
        ]
        return pd.concat(found).drop_duplicates("run_id", ignore_index=True)

    def answers(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The answers of some runs to every test image, run by run and in the order of image_id: the columns of
        `Results.predictions`, and run_id, model, seed and temperature of the run."""
        found = [self.results.predictions(run["run_id"]).assign(**run) for run in rows[RUN].to_dict("records")]
        return pd.concat(found, ignore_index=True) if found else NO_ANSWERS
