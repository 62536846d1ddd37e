"""The settings of one run: everything that decides its result, checked before it starts.

`resolve` makes settings of names and numbers, `choices` and `to_words` turn settings back into what one says to
`resolve`, to a chapter or to `seran train`, and `settings_of` reads them from a row of the ledger. A row is of a run
where it has the values of `IDENTITY` that the run's settings have and, where images matter, their fingerprint.
"""

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from seran_lib import paths
from seran_lib.nets.specs import INITS, PRETRAINED, SPECS, WIRINGS
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import PROFILES
from seran_lib.train.recipes import RECIPES, TRANSFER

# What may be chosen for a run, named as in the ledger, and what it is where nobody does. Empty and zero: the recipe's
# own or, where that has none, the profile's.
CHOICES = {
    "data": "", "model": "seran_d", "recipe": "paper", "seed": 0, "epochs": 0, "init": "", "wiring": "paper", "lr": 0.0,
    "images_per_class": 0, "precision": "", "out": "",
}  # fmt: skip
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}  # what may be fixed for a run, and what the ledger calls it
# The run_id says what differs from the profile; the numbers are there because a profile may have changed since.
IDENTITY = ("run_id", "width", "size", "batch", "lr")


@dataclass(frozen=True)
class Settings:
    """All that decides the result of one training run; the same settings on the same machine give the same weights.

    `data` is the folder with `manifest.csv`. `images_per_class` is the most training images a species has, 0 for all of
    them. `recipe` is a name of `recipes.RECIPES`. `precision` is a key of `PRECISIONS`, or empty for the one
    that is quick where the run is done. `out` is the folder that keeps checkpoints; empty means a folder of this run's
    own below `runs/`.
    """

    profile: str
    model: str
    data: str
    seed: int
    epochs: int
    width: float
    size: int
    batch: int
    lr: float
    min_images: int
    wiring: str
    init: str
    recipe: str
    images_per_class: int
    precision: str
    out: str

    @property
    def data_name(self) -> str:
        """The folder's name, "drawn" for the drawn insects."""
        return Path(self.data).resolve().name

    @property
    def run_id(self) -> str:
        """Names the run in the ledger, in `runs/` and in `results/`."""
        parts = [self.data_name, self.profile, self.model, f"e{self.epochs}", f"s{self.seed}"]
        parts += [choice for choice in (self.wiring, self.init) if choice in ("port", "zero", "torch")]
        parts += [self.recipe] if self.recipe != "paper" else []
        rate = usual(self.profile, self.model, self.recipe)["lr"]
        parts += [f"lr{self.lr:g}"] if self.lr != rate else []
        parts += [f"n{self.images_per_class}"] if self.images_per_class else []
        return "-".join(parts + ([self.precision] if self.precision else []))

    @property
    def folder(self) -> Path:
        """Where checkpoints and the log of this run lie."""
        return Path(self.out) if self.out else paths.runs() / self.run_id

    @property
    def results(self) -> Results:
        """Where ledger, curves and predictions go: smoke measurements are no evidence and stay in `runs/`."""
        return Results(paths.runs() / "smoke" if self.profile == "smoke" else paths.results())

    def identity(self) -> dict[str, object]:
        """The settings that a checkpoint must share; folders may move."""
        return {k: v for k, v in asdict(self).items() if k not in ("data", "out")} | {"data_name": self.data_name}


def usual(profile: str, model: str, recipe: str) -> dict[str, object]:
    """Width, size, init and lr of a run where nobody chooses others: the recipe's, or else the profile's.

    Pretrained weights have a width and a start, and see larger pictures: weights that are there need not be narrow.
    """
    chosen, own, spec = PROFILES[profile], RECIPES[recipe], SPECS[model]
    common = {"width": chosen.width, "size": chosen.size, "init": own.init or chosen.init}
    if spec.pretrained:
        common = {"width": 1.0, "size": min(2 * chosen.size, spec.largest), "init": "pretrained"}
    return common | {"lr": chosen.lr if own.lr is None else own.lr}


def resolve(profile: str = "smoke", **choices: object) -> Settings:
    """As `choose`, and ValueError where `data` is not a folder on this machine."""
    settings = choose(profile, **choices)
    if not Path(settings.data).is_dir():
        raise ValueError(f"data = {settings.data!r} is not a folder: give the folder that holds manifest.csv")
    return settings


def choose(profile: str = "smoke", **choices: object) -> Settings:
    """Settings of a profile; zero and empty values mean the recipe's own or, where that has none, the profile's.

    `choices` are those of `CHOICES`. The pretrained network goes with the recipes of transfer and no other; it has its
    own width, size and start. Nothing is looked up on disk. Raises TypeError for an unknown choice or a value of the
    wrong type, and ValueError for an unknown name or a value out of range.
    """
    if unknown := choices.keys() - CHOICES.keys():
        raise TypeError(f"no settings are called {', '.join(sorted(unknown))}: choose from {', '.join(CHOICES)}")
    given = {"profile": profile} | CHOICES | choices
    _check_types(given)
    _check_values(given)
    chosen, own = PROFILES[profile], usual(profile, given["model"], given["recipe"])
    epochs = 1 if given["recipe"] == "frozen" else given["epochs"] or chosen.epochs
    own |= {"epochs": epochs, "init": given["init"] or own["init"], "lr": given["lr"] or own["lr"]}
    return Settings(**(given | {"batch": chosen.batch, "min_images": chosen.min_images} | own))


def _check_types(given: dict[str, object]) -> None:
    for name, value in given.items():
        expected = type(CHOICES.get(name, ""))
        if type(value) is not expected:
            raise TypeError(f"{name} = {value!r} is {type(value).__name__}, expected {expected.__name__}")


def _check_values(given: dict[str, object]) -> None:
    profile, model, recipe = given["profile"], given["model"], given["recipe"]
    starts = ("pretrained",) if model in PRETRAINED else INITS
    known = {"profile": PROFILES, "model": SPECS, "wiring": WIRINGS, "recipe": RECIPES}
    for name, names in (known | {"init": ("", *starts), "precision": ("", *PRECISIONS)}).items():
        if given[name] not in names:
            raise ValueError(f"unknown {name} {given[name]!r}: choose one of {', '.join(filter(None, names))}")
    for name, value in given.items():
        if type(value) is not str and not 0 <= value < math.inf:
            raise ValueError(f"{name} = {value} must not be negative or infinite")
    if (model in PRETRAINED) != (recipe in TRANSFER):
        raise ValueError(
            f"recipe {recipe!r} is not for {model}: {' and '.join(TRANSFER)} are for pretrained weights, "
            f"{' and '.join(PRETRAINED)}, the others for random ones"
        )
    if recipe == "frozen" and (given["epochs"] > 1 or given["lr"]):
        raise ValueError("recipe 'frozen' looks at each image once: it has no epochs and no learning rate to choose")
    if not given["data"]:
        raise ValueError(
            f"profile {profile!r} needs photographs: name a folder that holds manifest.csv (--data, DATA=)"
        )


def choices(settings: Settings) -> dict[str, object]:
    """What to give to `resolve` for these settings, without what the profile and the recipe say anyhow."""
    standard = CHOICES | usual(settings.profile, settings.model, settings.recipe)
    said = {name: getattr(settings, name) for name in CHOICES}
    said = {name: value for name, value in said.items() if name in ("model", "seed") or value != standard[name]}
    return {"profile": settings.profile} | said


def to_words(settings: Settings) -> list[str]:
    """The options of `seran train` for these settings."""
    pairs = choices(settings).items()
    return [word for name, value in pairs for word in (f"--{name.replace('_', '-')}", str(value))]


def settings_of(row: Mapping[str, object], data: str = "") -> Settings:
    """The settings of a run from its row in the ledger, with its images in the folder `data`, or else in one of the
    name that the row has, which need not be on this machine."""
    chosen = {name: type(usual)(row[name]) for name, usual in CHOICES.items() if name not in ("data", "out")}
    last = row["run_id"].rpartition("-")[2]  # the ledger's precision is that of any run, fixed or not
    chosen["precision"] = last if last in PRECISIONS else ""
    return choose(row["profile"], data=data or row["data"], **chosen)


def command(settings: Settings) -> str:
    """The shell command that does this run."""
    return shlex.join(["seran", "train", *to_words(settings)])
