"""The settings of one run: everything that decides its result, checked before it starts."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from seran_lib import paths
from seran_lib.nets.specs import INITS, PRETRAINED, SPECS, WIRINGS
from seran_lib.train.profiles import PROFILES, Profile
from seran_lib.train.recipes import RECIPES, TRANSFER


@dataclass(frozen=True)
class Settings:
    """All that decides the result of one training run; the same settings on the same machine give the same weights.

    `data` is the folder with `manifest.csv`. `images_per_class` is the most training images a species has, 0 for all of
    them. `recipe` is a name of `recipes.RECIPES`. `out` is the folder that keeps checkpoints; empty means a folder of
    this run's own below `runs/`.
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
    out: str

    @property
    def data_name(self) -> str:
        """The folder's name, "drawn" for the drawn insects."""
        return Path(self.data).resolve().name

    @property
    def run_id(self) -> str:
        """Names the run in the ledger, in `runs/` and in `results/`."""
        parts = [self.data_name, self.profile, self.model, f"e{self.epochs}", f"s{self.seed}"]
        parts += [choice for choice in (self.wiring, self.init) if choice in ("port", "zero")]
        parts += [self.recipe] if self.recipe != "paper" else []
        rate = usual(self.profile, self.model, self.recipe)["lr"]
        parts += [f"lr{self.lr:g}"] if self.lr != rate else []
        return "-".join(parts + ([f"n{self.images_per_class}"] if self.images_per_class else []))

    @property
    def folder(self) -> Path:
        """Where checkpoints and the log of this run lie."""
        return Path(self.out) if self.out else paths.runs() / self.run_id

    @property
    def results(self) -> Path:
        """Where ledger, curves and predictions go: smoke measurements are no evidence and stay in `runs/`."""
        return paths.runs() / "smoke" if self.profile == "smoke" else paths.results()

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


def resolve(
    profile: str = "smoke",
    *,
    seed: int = 0,
    data: str = "",
    out: str = "",
    epochs: int = 0,
    model: str = "seran_d",
    wiring: str = "paper",
    init: str = "",
    lr: float = 0.0,
    recipe: str = "paper",
    images_per_class: int = 0,
) -> Settings:
    """Settings of a profile; zero and empty values mean the recipe's own or, where that has none, the profile's.

    The pretrained network goes with the recipes of transfer and no other; it has its own width, size and start. Raises
    TypeError for a value of the wrong type and ValueError for an unknown name or a value out of range, before any work
    is done.
    """
    given = {"profile": profile, "seed": seed, "data": data, "out": out, "epochs": epochs, "model": model}
    given |= {"lr": lr, "recipe": recipe, "images_per_class": images_per_class}
    for name, value in given.items():
        expected = {"seed": int, "epochs": int, "images_per_class": int, "lr": float}.get(name, str)
        if type(value) is not expected:
            raise TypeError(f"{name} = {value!r} is {type(value).__name__}, expected {expected.__name__}")
    starts = ("pretrained",) if model in PRETRAINED else INITS
    for name, value, choices in (
        ("profile", profile, PROFILES),
        ("model", model, SPECS),
        ("wiring", wiring, WIRINGS),
        ("recipe", recipe, RECIPES),
        ("init", init or starts[0], starts),
    ):
        if value not in choices:
            raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")
    for name in ("seed", "epochs", "images_per_class", "lr"):
        if not 0 <= given[name] < math.inf:
            raise ValueError(f"{name} = {given[name]} must not be negative or infinite")
    if (model in PRETRAINED) != (recipe in TRANSFER):
        raise ValueError(
            f"recipe {recipe!r} is not for {model}: {' and '.join(TRANSFER)} are for pretrained weights, "
            f"{' and '.join(PRETRAINED)}, the others for random ones"
        )
    if recipe == "frozen" and (epochs > 1 or lr):
        raise ValueError("recipe 'frozen' looks at each image once: it has no epochs and no learning rate to choose")
    if not data:
        raise ValueError(
            f"profile {profile!r} needs photographs: name a folder that holds manifest.csv (--data, DATA=)"
        )
    if not Path(data).is_dir():
        raise ValueError(f"data = {data!r} is not a folder: give the folder that holds manifest.csv")
    chosen = PROFILES[profile]
    names = {field.name for field in fields(Settings)} & {field.name for field in fields(Profile)}
    settings = {name: getattr(chosen, name) for name in names}
    own = usual(profile, model, recipe)
    own |= {"epochs": 1 if recipe == "frozen" else epochs or chosen.epochs, "wiring": wiring}
    own |= {"init": init or own["init"], "lr": lr or own["lr"]}
    return Settings(**(settings | given | own))
