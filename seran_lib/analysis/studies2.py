"""The studies of protocol 2 (docs/protocol/2.md, sections 1 to 3), as lists of runs.

A network's own rate is chosen by the validation images of seed 0 of the study "rates2". Two things the protocol leaves
open were decided before any run of theirs: another layout has SERAN-D's own rate, and so has another start its own
network's, since each is to differ in one thing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from seran_lib.train.profiles import TABLE1, TABLE2
from seran_lib.train.settings import Settings, choose

FIELD, PINNED = "butterfly100-grouped", "heliconius-grouped"
FIVE = ("seran_d", "seran_d_no_se", "seran_d_no_attention", "seran_d_plain", "seran_d_no_mask")  # of C1
SEVEN = tuple(model for model in (*TABLE1, *TABLE2) if model not in FIVE)
TWELVE = (*FIVE, *SEVEN)
RATES = (1e-3, 4e-3, 8e-3)
BEYOND = MappingProxyType({8e-3: (1.6e-2,), 1e-3: (5e-4, 2e-3)})  # tried as well where that one is the best of `RATES`
PRECISION = ("float32", "bfloat16")  # of even and of odd seeds
LAYOUTS = ("seran_d_lean", "seran_d_all_used")

Tried = Mapping[str, Mapping[float, float]]  # model -> learning rate -> validation error of seed 0 on `FIELD`, percent


def best(errors: Mapping[float, float]) -> float:
    """The rate with the lowest error; of equals, the smaller."""
    return min(errors, key=lambda rate: (errors[rate], rate))


def rates_to_try(errors: Mapping[float, float]) -> tuple[float, ...]:
    """The rates of a network that section 3 asks for, given the validation errors known so far."""
    if not set(RATES) <= set(errors):
        return RATES
    return (*RATES, *BEYOND.get(best({rate: errors[rate] for rate in RATES}), ()))


def own_rate(errors: Mapping[float, float]) -> float | None:
    """A network's own rate, or None where a rate that section 3 asks for has not been tried."""
    asked = rates_to_try(errors)
    return best({rate: errors[rate] for rate in asked}) if set(asked) <= set(errors) else None


def on_the_edge(errors: Mapping[float, float]) -> bool:
    """Whether a network's own rate is the smallest or the largest that was tried, so that its best may lie beyond."""
    return own_rate(errors) in (min(errors), max(errors))


def trials(profile: str) -> list[Settings]:
    """Every run that "rates2" may come to ask for."""
    rates = (*RATES, *sum(BEYOND.values(), ()))
    common = {"data": FIELD, "seed": 0, "precision": PRECISION[0]}
    return [choose(profile, model=model, lr=lr, **common) for model in TWELVE for lr in rates]


@dataclass(frozen=True)
class Runs:
    """Some networks of a study. `lr` 0 stands for each network's own rate, or that of the network `rate_of`."""

    models: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 0
    init: str = ""
    recipe: str = "paper"
    lr: float = 0.0
    rate_of: str = ""


@dataclass(frozen=True)
class Study2:
    """A set of runs on one data set with one question; with `all_rates`, at every rate that section 3 asks for."""

    asks: str
    data: str
    parts: tuple[Runs, ...]
    all_rates: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """All networks of the study."""
        return tuple(dict.fromkeys(model for part in self.parts for model in part.models))

    def runs(self, profile: str, data: str, tried: Tried, models: Collection[str] = ()) -> Iterator[Settings]:
        """The study's runs on a folder or its name, seed by seed; with `models`, of these alone. Raises ValueError
        where a rate is not chosen yet."""
        for seed in range(1 + max(seed for part in self.parts for seed in part.seeds)):
            for part in self.parts:
                for model in part.models if seed in part.seeds else ():
                    for lr in self._rates(part, model, tried) if not models or model in models else ():
                        chosen = {"lr": lr, "epochs": part.epochs, "init": part.init, "recipe": part.recipe}
                        precision = PRECISION[seed % 2]
                        yield choose(profile, data=data, model=model, seed=seed, precision=precision, **chosen)

    def _rates(self, part: Runs, model: str, tried: Tried) -> tuple[float, ...]:
        known = tried.get(part.rate_of or model, {})
        if self.all_rates:
            return rates_to_try(known)
        lr = part.lr or own_rate(known)
        if lr is None:
            raise ValueError(
                f"the learning rate of {part.rate_of or model} is not chosen yet: run the study rates2 on {FIELD} first"
            )
        return (lr,)

    def check(self, data: str) -> None:
        """Raises ValueError where the folder has the name of another data set of the book."""
        if data in {FIELD, PINNED, *(name.removesuffix("-grouped") for name in (FIELD, PINNED))} - {self.data}:
            raise ValueError(f"{self.asks}: planned for {self.data}, not for {data}")


STUDIES2 = MappingProxyType(
    {
        "rates2": Study2("a learning rate for each network", FIELD, (Runs(TWELVE, (0,)),), all_rates=True),
        "tables2": Study2("Tables 1 and 2 and two controls", FIELD, (Runs(FIVE, (0, 1, 2, 3, 4)), Runs(SEVEN))),
        "constant2": Study2(
            "over-fitting at a constant rate",
            PINNED,
            (Runs(("seran_d_no_se", "seran_d_no_attention"), epochs=40, recipe="constant", lr=1e-3),),
        ),
        "mimics2": Study2("look-alikes, masks and unknowns", PINNED, (Runs(FIVE[:3]),)),
        "layouts2": Study2("SERAN-D in other layouts", FIELD, (Runs(LAYOUTS, rate_of="seran_d"),)),
        "starts2": Study2(
            "other first weights",
            FIELD,
            tuple(Runs(("seran_d", "seran_d_no_attention"), (0,), init=init) for init in ("torch", "plain", "zero")),
        ),
        "trained2": Study2(
            "three times as many epochs",
            FIELD,
            (Runs(("resnet101", "se_resnet101", "seran_d_no_attention", "seran_d"), epochs=24),),
        ),
    }
)
