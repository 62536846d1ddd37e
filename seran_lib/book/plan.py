"""What a batch has to do: the words of `make book` become a list of steps, and those that are done already are marked.

A training is done where the ledger holds it on the images that its folder has now, and its files are in order
(`train.run.due`). A chapter is done where it was executed with the same words, from the same notebook, after the same
trainings. Times of files decide nothing.
"""

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from seran_lib import paths, sources
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import STUDIES
from seran_lib.analysis.studies2 import STUDIES2
from seran_lib.files import replacing
from seran_lib.nets.specs import INITS, SPECS
from seran_lib.paths import ALA, NOTEBOOKS
from seran_lib.train.cost import count_images, full_size, gpu_hours
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import PROFILES
from seran_lib.train.run import due, recorded
from seran_lib.train.settings import Settings, choices, resolve

GOALS = ("book", "trainings")
WORDS = {"PROFILE": "smoke", "DATA": "", "EPOCHS": "0", "SEEDS": "", "MODELS": "", "INIT": "", "STUDY": ""}
TRAINING = "08_train_one"  # the chapter that is a training run
READ_RESULTS = ("09_table1", "10_table2_ablations", "11_what_it_looks_at", "12_beyond_the_paper")
AFTER = {
    "02_curate_and_split": ("01_collect_from_ala",),  # curates what it collects
    "11_what_it_looks_at": (TRAINING,),  # opens the same run, and a run has one process
}


@dataclass
class Step:
    """One notebook to execute: a training run, or a chapter that reads runs.

    `name` is safe in names of files, `words` are those of `seran notebook`, the notebook first, `after` names of steps
    that come before. `minutes` is the time to ask a cluster for.
    """

    name: str
    title: str
    words: list[str]
    reads: list[Settings]
    after: list[str] = field(default_factory=list)
    kind: str = "chapter"
    gpu: bool = False
    minutes: int = 120
    due: bool = True

    def mark(self) -> Path:
        """The file that says which copy this step left, of this very notebook and after these very runs."""
        rows = [recorded(run)[["utc", "weights_sha256"]].astype(str).to_numpy().tolist() for run in self.reads]
        notebook = (NOTEBOOKS / f"{self.words[0]}.ipynb").read_bytes()
        content = json.dumps([self.words, hashlib.sha256(notebook).hexdigest(), rows])
        return paths.runs() / "book" / f"{self.words[0]}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def finished(self) -> bool:
        """Whether that copy is there."""
        mark = self.mark()
        return mark.is_file() and Path(mark.read_text(encoding="utf-8")).is_file()

    def keep(self, copy: str) -> None:
        """Remember the executed copy."""
        with replacing(self.mark()) as stream:
            stream.write(copy.encode())


def steps(goal: str, given: Mapping[str, str]) -> list[Step]:
    """Every step of "book" or "trainings" in order, with those that are due.

    Raises ValueError for a word, and CheckpointError where the ledger has such a run on other images.
    """
    runs = read_words(given)
    undone = {run.run_id for run in due(runs)}
    planned = [training(run, _data(given), due=run.run_id in undone) for run in runs]
    if goal == "trainings":
        return planned
    pending = {step.name for step in planned if step.due}
    for chapter in chapters(runs, _data(given), given.get("INIT", "")):
        if chapter.words[0] == TRAINING and chapter.reads[0].run_id in undone:
            continue  # that training is this chapter
        chapter.due = bool(pending & set(chapter.after)) or not chapter.finished()
        pending |= {chapter.name} if chapter.due else set()
        planned.append(chapter)
    return planned


def read_words(given: Mapping[str, str]) -> list[Settings]:
    """The training runs that the words of `make` ask for; a word that is missing or empty is as in `WORDS`.

    Raises ValueError that names the word and what it may be.
    """
    words = {name: given.get(name) or usual for name, usual in WORDS.items()}
    (profile,) = _chosen("PROFILE", words, PROFILES) or ["smoke"]
    models = _chosen("MODELS", words, SPECS)
    (init,) = _chosen("INIT", words, INITS) or [""]
    studies = _chosen("STUDY", words, {**STUDIES, **STUDIES2})
    seeds = _numbers("SEEDS", words)
    (epochs,) = _numbers("EPOCHS", words) or [0]
    if words["DATA"] not in ("", ALA) and not Path(words["DATA"]).is_dir():
        raise ValueError(f"DATA={words['DATA']} is not a folder: name the folder that holds manifest.csv, or {ALA}")
    data = sources.folder(_data(words), profile)
    if studies and (epochs or init):
        raise ValueError("a study names its own epochs and start: give EPOCHS and INIT without STUDY")
    if not studies:
        return [
            resolve(profile, data=data, epochs=epochs, seed=seed, model=model, init=init)
            for seed in seeds or [0]
            for model in models or PROFILES[profile].grid
        ]
    evidence, runs = Evidence(Results(paths.results()), profile), []
    for study in studies:
        planned = STUDIES2[study] if study in STUDIES2 else STUDIES[study]
        planned.check(Path(data).resolve().name)
        known = (evidence.tried, models) if study in STUDIES2 else (evidence.rates,)  # what its rates rest on
        runs += planned.runs(profile, data, *known)
    for name, wanted in (("MODELS", models), ("SEEDS", seeds)):
        there = list(dict.fromkeys(getattr(settings, name.lower()[:-1]) for settings in runs))
        if unknown := [str(value) for value in wanted if value not in there]:
            raise ValueError(f"{name}: no run of the study has {', '.join(unknown)}, but {', '.join(map(str, there))}")
    return [
        settings
        for settings in {settings.run_id: settings for settings in runs}.values()
        if settings.seed in (seeds or [settings.seed]) and settings.model in (models or [settings.model])
    ]


def _items(text: str) -> list[str]:
    return list(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


def _chosen(name: str, words: Mapping[str, str], choices: Collection[str]) -> list[str]:
    items = _items(words[name])
    for item in items:
        if item not in choices:
            raise ValueError(f"{name}={words[name]}: unknown {name.lower()} {item!r}, choose from {', '.join(choices)}")
    if name in ("PROFILE", "INIT") and len(items) > 1:
        raise ValueError(f"{name}={words[name]}: give one of {', '.join(choices)}")
    return items


def _numbers(name: str, words: Mapping[str, str]) -> list[int]:
    items = _items(words[name])
    if not all(re.fullmatch("[0-9]{1,9}", item) for item in items) or (name == "EPOCHS" and len(items) > 1):
        example = "a whole number, such as EPOCHS=8" if name == "EPOCHS" else "whole numbers, such as SEEDS=0,1,2"
        raise ValueError(f"{name}={words[name]}: write {example}")
    return [int(item) for item in items]


def _data(words: Mapping[str, str]) -> str:
    """What chapters are told of the data; they run in a folder of their own, where a relative path is another place."""
    data = words.get("DATA", "")
    return data if data in ("", ALA) else str(Path(data).absolute())


def options(settings: Settings, data: str) -> list[str]:
    """What `seran notebook` is told about any chapter."""
    said = {name: getattr(settings, name) for name in ("profile", "seed", "epochs")} | ({"data": data} if data else {})
    return [word for name, value in said.items() for word in (f"--{name}", str(value))]


def training(settings: Settings, data: str, *, due: bool = True) -> Step:
    """The step that does this run."""
    further = choices(settings).items() - {
        (name, getattr(settings, name)) for name in ("profile", "seed", "epochs", "data")
    }
    words = [TRAINING, *options(settings, data)]
    words += [word for name, value in sorted(further) for word in ("-p", f"{name}={value}")]
    step = Step(quote(settings.run_id, safe=""), settings.run_id, words, [settings], kind="training", due=due)
    step.gpu = PROFILES[settings.profile].width == 1  # the full networks; the narrow ones are made for CPUs
    if due and full_size(settings):  # half as much again as the slowest GPU needs, and an hour for the rest
        hours = gpu_hours(settings.model, count_images(settings).train, settings.epochs)
        step.minutes = math.ceil(60 + 1.5 * 60 * hours.max())
    return step


def chapters(runs: list[Settings], data: str, init: str) -> list[Step]:
    """A step for every chapter of the book, about the first SERAN-D of the runs, or else about the first run."""
    shown = next((run for run in runs if run.model == "seran_d" and run.recipe == "paper"), runs[0])
    planned = []
    for chapter in (path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))):
        words = training(shown, data, due=False).words if chapter == TRAINING else [chapter, *options(shown, data)]
        words += ["-p", f"init={init}"] if init and chapter == "11_what_it_looks_at" else []
        reads = [shown] if chapter == TRAINING else runs if chapter in READ_RESULTS else []
        after = [*AFTER.get(chapter, ()), *(quote(run.run_id, safe="") for run in reads)]
        gpu = PROFILES[shown.profile].width == 1
        planned.append(Step(chapter, chapter.replace("_", " "), words, reads, after, gpu=gpu))
    return planned
