"""The batch: train every model and seed, run every chapter, rebuild the tables.

    snakemake --cores all --config profile=laptop data=FOLDER seeds=0,1,2 models=seran_d,resnet101

Finished runs are known by their predictions below `results/` (of the smoke profile: below `runs/smoke/`). A run that
was interrupted resumes at its last checkpoint when the same command is given again. One run takes all cores.
"""

import shlex
import sys

from seran_lib.lab.experiment import predictions_path
from seran_lib.lab.profiles import PROFILES, resolve
from seran_lib.paths import NOTEBOOKS, RUNS

PROFILE = str(config.get("profile", "smoke"))
DATA = str(config.get("data", ""))
EPOCHS = int(config.get("epochs", 0))
SEEDS = [int(seed) for seed in str(config.get("seeds", "0")).split(",")]
INIT = str(config.get("init", ""))
resolve(PROFILE, data=DATA, epochs=EPOCHS, init=INIT)  # a wrong word stops here
MODELS = str(config.get("models") or ",".join(PROFILES[PROFILE].grid)).split(",")
TRAININGS = [
    resolve(PROFILE, data=DATA, epochs=EPOCHS, seed=seed, model=model, init=INIT) for seed in SEEDS for model in MODELS
]
BY_ID = {settings.run_id: settings for settings in TRAININGS}
PREDICTIONS = predictions_path(TRAININGS[0]).parent
CHAPTERS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
BOOK = RUNS / "book" / "-".join([PROFILE, TRAININGS[0].data_name])
RUN = f"{sys.executable} -m seran_lib.lab.run"


def arguments(settings):
    """The command-line arguments that make `lab.run` do this training."""
    words = ["--profile", settings.profile, "--seed", str(settings.seed), "--epochs", str(settings.epochs)]
    words += ["--data", shlex.quote(settings.data)] if settings.data else []
    return " ".join(words)


rule book:
    input:
        [predictions_path(settings) for settings in TRAININGS],
        [BOOK / f"{chapter}.done" for chapter in CHAPTERS],
    shell:
        f"{sys.executable} -m seran_lib.lab.table"


rule trainings:
    input:
        [predictions_path(settings) for settings in TRAININGS],


rule train:
    output:
        PREDICTIONS / "{run_id}.csv.gz",
    wildcard_constraints:
        run_id="|".join(BY_ID),
    threads: workflow.cores
    params:
        arguments=lambda wildcards: arguments(BY_ID[wildcards.run_id]),
        model=lambda wildcards: BY_ID[wildcards.run_id].model,
        init=lambda wildcards: BY_ID[wildcards.run_id].init,
    shell:
        f"{RUN} 08_train_one {{params.arguments}} -p model={{params.model}} -p init={{params.init}}"


def collected_first(wildcards):
    """Chapter 02 curates what chapter 01 collects."""
    return [BOOK / "01_collect_from_ala.done"] if wildcards.chapter == "02_curate_and_split" else []


rule chapter:
    input:
        NOTEBOOKS / "{chapter}.ipynb",
        collected_first,
        [predictions_path(settings) for settings in TRAININGS],
    output:
        touch(BOOK / "{chapter}.done"),
    threads: workflow.cores
    params:
        arguments=arguments(TRAININGS[0]),
    shell:
        f"{RUN} {{wildcards.chapter}} {{params.arguments}}"
