"""The batch: train every model and seed, run every chapter, rebuild the tables.

    snakemake --cores all --nolock --rerun-incomplete --rerun-triggers mtime --config profile=laptop data=FOLDER

With seeds=0,1,2 and models=seran_d,seran only those. Always with mtime: by its other triggers Snakemake would do
finished runs again.

With study=tables,wiring the runs are those of the studies in seran_lib/analysis/studies.py; seeds and models then choose
among them. Finished runs are known by their predictions below results/ (of the smoke profile: below runs/smoke/) and
their rows in the ledger there: delete a row, and just that run is recorded again, from its folder below runs/ or, where
that is gone, too, by a new training. (Through a bucket its parcel comes home again: delete that, too.) Where the folder
holds other images than the ledger's, a run of the smoke profile is done again, and any other stops all, and says how to
keep both results.
A run that was interrupted resumes at its last checkpoint when the same command is given again, whatever was killed: two
runs on one folder refuse each other by themselves, so that Snakemake's own locks, which outlive a killed Snakemake, are
not needed.
One run takes one core, or a GPU and all cores; clusters/ has the settings for many machines.
"""

import math
import os
import re
import shlex
import sys
from pathlib import Path

from seran_lib.train.cost import count_images, gpu_hours
from seran_lib.train.run import other_images, predictions_path, recorded, up_to_date
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import resolve, usual
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import STUDIES
from seran_lib.train.ledger import Results
from seran_lib.nets.specs import PRETRAINED
from seran_lib import paths, sources
from seran_lib.paths import ALA, NOTEBOOKS

os.environ["SERAN_SNAKEMAKE"] = str(os.getpid())  # a run stops when this process, which started it, is gone

PROFILE = str(config.get("profile", "smoke"))
DATA = str(config.get("data", ""))
DATA = DATA if DATA in ("", ALA) else str(Path(DATA).absolute())  # chapters run in a folder of their own
EPOCHS = int(config.get("epochs", 0))
SEEDS = [int(seed) for seed in str(config.get("seeds", "")).split(",") if seed]
INIT = str(config.get("init", ""))
FOLDER = sources.folder(DATA, PROFILE)  # a set that nobody has collected stops here
resolve(PROFILE, data=FOLDER, epochs=EPOCHS, init=INIT)  # and so does a wrong word
MODELS = [model for model in str(config.get("models", "")).split(",") if model]
STUDY = [study for study in str(config.get("study", "")).split(",") if study]
if unknown := set(STUDY) - set(STUDIES):
    raise ValueError(f"unknown study {', '.join(unknown)}: choose from {', '.join(STUDIES)}")
if STUDY and (EPOCHS or INIT):
    raise ValueError("a study names its own epochs and start: give epochs and init without study")
if STUDY:
    RATES = Evidence(Results(paths.results()), PROFILE).rates  # of studies that rest on chosen ones
    for study in STUDY:
        STUDIES[study].check(Path(FOLDER).resolve().name)
    TRAININGS = [
        settings
        for study in STUDY
        for settings in STUDIES[study].runs(PROFILE, FOLDER, RATES)
        if settings.seed in (SEEDS or [settings.seed]) and settings.model in (MODELS or [settings.model])
    ]
else:
    TRAININGS = [
        resolve(PROFILE, data=FOLDER, epochs=EPOCHS, seed=seed, model=model, init=INIT)
        for seed in SEEDS or [0]
        for model in MODELS or PROFILES[PROFILE].grid
    ]
for name, wanted in (("model", MODELS), ("seed", SEEDS)):
    if unknown := set(wanted) - {getattr(settings, name) for settings in TRAININGS}:
        raise ValueError(f"no run has the {name} {', '.join(map(str, unknown))}: leave it out, or choose another study")
BY_ID = {settings.run_id: settings for settings in TRAININGS}
RESULTS = TRAININGS[0].results.folder
CHAPTERS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
BOOK = paths.runs() / "book" / TRAININGS[0].run_id  # named like the first training: other settings execute the chapters anew
PYTHON = shlex.quote(sys.executable)
RUN = f"{PYTHON} -m seran_lib notebook"
PARCELS = f"{PYTHON} -m seran_lib parcel"
CORES = 1024  # more than there are: Snakemake cuts it down to the machine's, and clusters/ names its own number
GPU = PROFILES[PROFILE].width == 1  # the full networks; the narrow ones are made for CPUs
STORED = workflow.storage_settings.default_storage_provider is not None  # a bucket, and no shared file system
PREDICTIONS = RESULTS / "predictions" / "{run_id}.csv.gz"
PARCEL = "parcels/{run_id}.zip"  # how a run comes home through a bucket
FINISHED = [local(predictions_path(settings)) for settings in BY_ID.values()]  # local: not in the bucket
OUTDATED = BY_ID.keys() - up_to_date(BY_ID.values())
if PROFILE != "smoke" and (refused := [run_id for run_id in sorted(OUTDATED) if len(recorded(BY_ID[run_id]))]):
    raise ValueError(other_images(refused[0], BY_ID[refused[0]]))  # before Snakemake removes what it takes for stale
for run_id in OUTDATED:  # predictions without such a row in the ledger are older than anything (0 would be no time)
    if predictions_path(BY_ID[run_id]).exists():
        os.utime(predictions_path(BY_ID[run_id]), (1, 1))


def arguments(settings):
    """The command-line arguments that make `seran notebook` do this training."""
    words = ["--profile", settings.profile, "--seed", str(settings.seed), "--epochs", str(settings.epochs)]
    words += ["--data", shlex.quote(DATA)] if DATA else []
    return " ".join(words)


def choices(settings):
    """The parameters that only the chapter of training has; the last three where they are not the usual ones."""
    words = [f"model={settings.model}", f"init={settings.init}", f"wiring={settings.wiring}"]
    words += [f"recipe={settings.recipe}"] if settings.recipe != "paper" else []
    rate = usual(settings.profile, settings.model, settings.recipe)["lr"]
    words += [f"lr={settings.lr}"] if settings.lr != rate else []
    words += [f"images_per_class={settings.images_per_class}"] if settings.images_per_class else []
    return " ".join(f"-p {word}" for word in words)


def minutes(wildcards):
    """Time to ask a cluster for, in minutes; a run that is cut at the limit resumes when it is tried again.

    Half as much again as the estimate for the slowest GPU, and an hour for what comes before and after.
    """
    settings = BY_ID[wildcards.run_id]
    if not GPU or settings.model in PRETRAINED:
        return 120
    return math.ceil(60 + 1.5 * 60 * gpu_hours(settings.model, count_images(settings).train, settings.epochs).max())


localrules:
    book,
    trainings,


rule book:
    input:
        FINISHED,
        [local(BOOK / f"{chapter}.done") for chapter in CHAPTERS],
    shell:
        f"{PYTHON} -m seran_lib table"


rule trainings:
    input:
        FINISHED,


rule train:
    input:
        lambda wildcards: ["Snakefile"] if wildcards.run_id in OUTDATED and not STORED else [],
    output:
        PARCEL if STORED else PREDICTIONS,
    wildcard_constraints:
        run_id="|".join(map(re.escape, BY_ID)),
    threads: CORES if GPU else 1  # of small networks, as many side by side as there are cores is the quickest
    resources:
        gpu=int(GPU),
        mem_mb=16_000 if GPU else 4_000,
        runtime=minutes,
    params:
        arguments=lambda wildcards: arguments(BY_ID[wildcards.run_id]),
        choices=lambda wildcards: choices(BY_ID[wildcards.run_id]),
    shell:
        f"{RUN} 08_train_one {{params.arguments}} {{params.choices}}"
        + (f" && {PARCELS} pack {shlex.quote(str(RESULTS))} {{wildcards.run_id}} {{output}}" if STORED else "")


if STORED:

    rule unpack:
        input:
            PARCEL,
        output:
            local(PREDICTIONS),
        wildcard_constraints:
            run_id="|".join(map(re.escape, BY_ID)),
        shell:
            f"{PARCELS} unpack {shlex.quote(str(RESULTS))} {{input}}"


def collected_first(wildcards):
    """Chapter 02 curates what chapter 01 collects."""
    return [local(BOOK / "01_collect_from_ala.done")] if wildcards.chapter == "02_curate_and_split" else []


def asked(wildcards):
    """What the chapters that train a network have to know: the start of its residual branches, and which network.

    Chapter 11 looks at the masks of SERAN-D and has no other.
    """
    words = []
    if INIT and wildcards.chapter in ("08_train_one", "11_what_it_looks_at"):
        words.append(f"-p init={INIT}")
    if wildcards.chapter == "08_train_one" and "seran_d" not in {settings.model for settings in TRAININGS}:
        words.append(f"-p model={TRAININGS[0].model}")
    return " ".join(words)


rule chapter:
    input:
        local(NOTEBOOKS / "{chapter}.ipynb"),
        collected_first,
        FINISHED,
    output:
        local(touch(BOOK / "{chapter}.done")),
    threads: CORES
    resources:
        mem_mb=8_000,
        runtime=120,
    params:
        arguments=arguments(TRAININGS[0]),
        asked=asked,
    shell:
        f"{RUN} {{wildcards.chapter}} {{params.arguments}} {{params.asked}}"
