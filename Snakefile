"""The batch: notebooks through papermill, one a job, with Snakemake's parallelism and executors.

make book and make trainings start it (seran_lib/book/batch.py): they decide what is due, write it to plan.json in a
new folder below runs/batch/, and start Snakemake there. So what a user typed never passes through Snakemake, and
neither times of files nor Snakemake's own notes decide what is done again. A run that was interrupted resumes at its last
checkpoint when the same command is given again; two runs on one folder refuse each other by themselves.

Where there is no shared disk, there is no such folder, and Snakemake is started by hand, with words in small letters:

    snakemake --profile clusters/googlebatch --config profile=paper data=FOLDER -- trainings
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import psutil

STORED = workflow.storage_settings.default_storage_provider is not None  # a bucket, and no shared disk
if STORED:
    from seran_lib import paths
    from seran_lib.book import plan

    for name, value in config.items():
        if name not in ("epochs", "seeds") and type(value) is not str:
            raise ValueError(f"{name}={value} is not a text for Snakemake: choose a name that is")
    PLANNED = plan.steps("trainings", {name.upper(): str(value) for name, value in config.items()})
    STEPS = {step.name: vars(step) for step in PLANNED}
    RESULTS = str(PLANNED[0].reads[0].results.folder)
    DONE = str(paths.runs() / "batch" / "home" / "{step}.done")
elif Path("plan.json").exists():
    STEPS = {step["name"]: step for step in json.loads(Path("plan.json").read_text(encoding="utf-8"))}
    DONE = "{step}.done"
else:
    raise ValueError("start it by make book or make trainings, which plan what Snakemake does")

KEEPER = "SERAN_SNAKEMAKE"  # a job stops when this process, which started it, is gone
if os.environ.get(KEEPER) not in [str(process.pid) for process in psutil.Process().parents()]:
    os.environ[KEEPER] = str(os.getpid())
CORES = 1024  # more than there are: Snakemake cuts it down to the machine's, and clusters/ names its own number
DUE = [name for name, step in STEPS.items() if step["due"]]
PARCEL = "parcels/{step}.zip"  # how a run comes home through a bucket


def command(*words):
    return shlex.join([sys.executable, "-m", *words])


def notebook(wildcards):
    """The command that executes a step's notebook."""
    return command("seran_lib", "notebook", *STEPS[wildcards.step]["words"])


def pack(wildcards):
    """The command that makes a parcel of a run; its file comes last."""
    return command("seran_lib", "parcel", "pack", RESULTS, STEPS[wildcards.step]["title"]) if STORED else ""


def before(wildcards):
    """What other steps leave when they are done."""
    return [local(DONE.format(step=name)) for name in STEPS[wildcards.step]["after"] if name in DUE]


def names(kind):
    """The steps of a kind as a regular expression."""
    return "|".join(re.escape(name) for name, step in STEPS.items() if step["kind"] == kind) or "none"


localrules:
    trainings,


rule trainings:  # and the chapters, where they are planned
    input:
        [local(DONE.format(step=name)) for name in DUE],


rule train:
    output:
        PARCEL if STORED else touch(DONE),
    log:
        [] if STORED else "{step}.log",
    wildcard_constraints:
        step=names("training"),
    priority: 1
    threads: lambda wildcards: CORES if STEPS[wildcards.step]["gpu"] else 1
    resources:  # of small networks, as many side by side as there are cores is the quickest
        gpu=lambda wildcards: int(STEPS[wildcards.step]["gpu"]),
        mem_mb=lambda wildcards: 16_000 if STEPS[wildcards.step]["gpu"] else 4_000,
        runtime=lambda wildcards: STEPS[wildcards.step]["minutes"],
    params:
        notebook=notebook,
        pack=pack,
    shell:
        "{params.notebook} && {params.pack} {output}" if STORED else "{params.notebook} > {log} 2>&1"


if STORED:

    rule unpack:
        input:
            PARCEL,
        output:
            local(touch(DONE)),
        wildcard_constraints:
            step=names("training"),
        params:
            unpack=command("seran_lib", "parcel", "unpack", RESULTS),
        shell:
            "{params.unpack} {input}"


rule chapter:
    input:
        before,
    output:
        local(touch(DONE)),
    log:
        "{step}.log",
    wildcard_constraints:
        step=names("chapter"),
    threads: lambda wildcards: CORES if STEPS[wildcards.step]["gpu"] else max(1, (workflow.cores or 2) // 2)
    resources:
        mem_mb=8_000,
        runtime=120,
    params:
        notebook=notebook,
    shell:
        "{params.notebook} > {log} 2>&1"
