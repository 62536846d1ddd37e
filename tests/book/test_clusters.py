"""Many machines: what Slurm and Google Batch are asked for, and that a job's own script trains and brings home a run.

No cluster is at hand, so programs and clients of theirs are stood in for; everything else is the real thing.
"""

import itertools
import os
import shlex
import shutil
import stat
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pytest
import yaml
from simulated import add_runs

from seran_lib import cli
from seran_lib.paths import ROOT
from seran_lib.train import parcel
from seran_lib.train.ledger import Results
from seran_lib.train.scores import Scores, save_scores

PLUGINS = {
    "slurm": ["snakemake_executor_plugin_slurm"],
    "googlebatch": [
        "snakemake_executor_plugin_googlebatch",
        "snakemake_storage_plugin_gcs",
        "snakemake_storage_plugin_fs",
    ],
}


def needs(cluster):
    missing = [name for name in PLUGINS[cluster] if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}: pip install -e '.[cluster]'")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the Snakefile and the profiles, results below it, and programs of ours first on the PATH."""
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(ROOT / "clusters", tmp_path / "clusters")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PLACE", str(tmp_path))  # Snakemake works in a folder of the batch
    return tmp_path


def program(workplace, name, script):
    """An executable shell script on the PATH."""
    path = workplace / "bin" / name
    path.write_text("#!/bin/bash\n" + textwrap.dedent(script))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def trainings(workplace, cluster, *words, program=("-m", "snakemake"), **asked):
    """Start trainings with a cluster's profile, a folder in the place of the bucket; everything that was printed.

    Without a bucket it is started as `make trainings` does it.
    """
    command = [sys.executable, *program, "--profile", f"clusters/{cluster}", *words]
    environment = os.environ | asked
    if cluster == "googlebatch":
        command += ["--default-storage-provider", "fs", "--default-storage-prefix", str(workplace / "bucket")]
        command += ["--config", *(f"{name.lower()}={value}" for name, value in asked.items()), "--", "trainings"]
    else:
        environment["SNAKEMAKE"] = shlex.join(command)
        command = [sys.executable, "-m", "seran_lib", "batch", "trainings"]
    done = subprocess.run(command, cwd=workplace, capture_output=True, text=True, timeout=240, env=environment)
    logs = "".join(path.read_text() for path in workplace.glob("runs/batch/*/snakemake.log"))
    return done.stdout + done.stderr + logs


@pytest.mark.parametrize("cluster", [pytest.param(name, marks=needs(name)) for name in PLUGINS])
def test_a_dry_run_shows_jobs_and_what_they_ask_for(cluster, workplace, atlas):
    asked = {"PROFILE": "paper", "DATA": str(atlas), "MODELS": "resnet101,senet154", "SEEDS": "0,1"}
    told = trainings(workplace, cluster, "--dry-run", "--printshellcmds", **asked)
    assert "This was a dry-run" in told, told
    jobs = [line for line in told.splitlines() if line.strip().startswith("resources:") and "gpu=1" in line]
    assert len(jobs) == 4 and all("mem_mb=16000" in job and "runtime=" in job for job in jobs)
    for seed in (0, 1):
        run = f"08_train_one --profile paper --seed {seed} --epochs 40 --data {atlas} -p model=senet154"
        assert f"seran_lib notebook {run}" in told


@needs("slurm")
def test_slurm_is_asked_for_a_gpu_memory_and_time_and_runs_the_training(workplace, atlas):
    """sbatch keeps what it is given and runs the job's script; srun has Snakemake say what it would do in the job."""
    for name in ("sacct", "sacctmgr", "sinfo", "squeue"):
        program(workplace, name, "echo lab")
    program(workplace, "sbatch", """\
        printf '%s\\n' "$@" > "$PLACE/arguments"
        for word; do [[ $word == --wrap=* ]] && SLURM_JOB_ID=1 bash -c "${word#--wrap=}" > "$PLACE/job" 2>&1; done
        exit 1""")  # fmt: skip
    program(workplace, "srun", """\
        while [[ $1 == -* ]]; do echo "$1" >> "$PLACE/step"; shift; done
        exec "$@" --dry-run --printshellcmds""")  # fmt: skip
    told = trainings(
        workplace, "slurm", "--retries", "0", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "0",
        "--default-resources", "slurm_account=lab", "slurm_partition=gpus",
        PROFILE="paper", DATA=str(atlas), MODELS="resnet101", EPOCHS="4000",
    )  # fmt: skip
    assert "SLURM sbatch failed" in told, told
    arguments = (workplace / "arguments").read_text().splitlines()
    asked = dict(itertools.pairwise(arguments))
    assert asked["-A"] == "lab" and asked["-p"] == "gpus"
    assert asked["--mem"] == "16000" and "--cpus-per-task=8" in arguments and "--gpus=1" in arguments
    assert 60 < int(asked["-t"]) < 600  # so many epochs of so few images, and an hour for what comes before and after
    job = (workplace / "job").read_text()
    run = f"08_train_one --profile paper --seed 0 --epochs 4000 --data {atlas} -p model=resnet101"
    assert f"seran_lib notebook {run}" in job
    assert "--gpus=1" in (workplace / "step").read_text().splitlines()


# Snakemake as usual, but jobs are created here: the request is kept, and what the machine would do is done in an
# empty folder in the place of the container's. Plugins and pip's packages are there already.
MACHINE = """
import os, pathlib, subprocess, sys
from google.cloud import batch_v1
from snakemake.cli import main
from snakemake_executor_plugin_googlebatch.executor import GoogleBatchExecutor

class Client:
    def create_job(self, request):
        pathlib.Path("request").write_bytes(batch_v1.CreateJobRequest.serialize(request))
        setup, snakefile, barrier, work = request.job.task_groups[0].task_spec.runnables
        machine = pathlib.Path("machine").resolve()
        for step in (setup, snakefile):
            script = step.script.text.replace(work.container.volumes[0].split(":")[0], str(machine))
            subprocess.run(["bash"], input=script, text=True, check=True)
        environment = os.environ | dict(work.environment.variables) | {"SERAN_RUNS": str(machine / "runs")}
        subprocess.run(["bash", "entrypoint.sh"], cwd=machine, env=environment)
        request.job.name = "job"
        return request.job

    def get_job(self, request):
        job = batch_v1.Job(name=request.name)
        job.status.state = batch_v1.JobStatus.State.SUCCEEDED
        return job

batch_v1.BatchServiceClient = Client
GoogleBatchExecutor.save_finished_job_logs = lambda self, job: None
main(sys.argv[1:])
"""


@needs("googlebatch")
def test_a_google_batch_job_trains_on_a_machine_of_its_own_and_the_run_comes_home(workplace, atlas):
    from google.cloud import batch_v1

    program(workplace, "pip", "")
    program(workplace, "rsync", 'cp -r "${@: -2:1}" "${@: -1:1}"')  # what the folder in the bucket's place copies with
    for name in ("python", "python3"):
        program(workplace, name, f'[[ $2 == pip ]] || exec {shlex.quote(sys.executable)} "$@"')
    (workplace / "bucket").mkdir()
    (workplace / "machine.py").write_text(MACHINE)
    told = trainings(
        workplace, "googlebatch", "--retries", "0", "--seconds-between-status-checks", "1", program=("machine.py",),
        PROFILE="smoke", EPOCHS="1", DATA=str(atlas), MODELS="seran",
    )  # fmt: skip
    results = Results(workplace / "runs" / "smoke")
    rows = results.rows()
    assert rows["run_id"].tolist() == ["insects-smoke-seran-e1-s0-zero"], told
    assert Results(workplace / "machine" / "runs" / "smoke").written() == results.written()

    request = batch_v1.CreateJobRequest.deserialize((workplace / "request").read_bytes())
    policy = request.job.allocation_policy.instances[0].policy
    assert [(gpu.type_, gpu.count) for gpu in policy.accelerators] == [("nvidia-tesla-t4", 1)]
    task = request.job.task_groups[0].task_spec
    assert task.compute_resource.memory_mib == 28000 and task.max_run_duration.days == 1
    assert task.volumes[0].gcs.remote_path == "YOUR-BUCKET"
    assert task.runnables[3].environment.variables["SERAN_RUNS"] == str(workplace / "runs")


def test_the_snakefile_survives_the_shell_that_writes_it_on_a_google_machine():
    assert not set("$`") & set((ROOT / "Snakefile").read_text())


def test_the_profiles_try_again_and_need_no_lock_of_snakemake():
    for cluster in PLUGINS:
        profile = yaml.safe_load((ROOT / "clusters" / cluster / "config.yaml").read_text())
        assert profile["retries"] > 0, cluster
        assert profile.get("nolock") or cluster == "slurm", "there each batch has a folder of its own"


@pytest.mark.parametrize("scores", [True, False], ids=["scores", "from before scores were kept"])
def test_a_parcel_brings_a_run_home_once(scores, tmp_path):
    there, home, file = tmp_path / "there", tmp_path / "home", tmp_path / "run.zip"
    add_runs(Results(there), {"seran_d": 0.2}, n=20)
    run_id = Results(there).rows()["run_id"][1]
    if scores:
        some = Scores(np.zeros((2, 2), dtype=np.float32), np.arange(2))
        save_scores(Results(there), run_id, ["ant", "bee"], {"valid": some, "test": some})
    cli.main(["parcel", "pack", str(there), run_id, str(file)])
    for _ in range(2):
        cli.main(["parcel", "unpack", str(home), str(file)])
    assert Results(home).written() == [Results(there).written()[1]]
    packed = [path for path in parcel.places(Results(there), run_id).values() if path.exists()]
    assert len(packed) == 2 + scores
    for path in packed:
        assert (home / path.relative_to(there)).read_bytes() == path.read_bytes()
    with pytest.raises(ValueError, match="holds no run other: it has not finished"):
        parcel.pack(there, "other", file)
