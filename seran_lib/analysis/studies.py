"""The studies of protocol 1, each a set of runs with one question, as they were planned."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

from seran_lib.nets.specs import PRETRAINED
from seran_lib.train.profiles import TABLE1, TABLE2
from seran_lib.train.recipes import LADDER
from seran_lib.train.settings import Settings, choose

CURVE_EPOCHS = (1, 2, 4, 8, 16, 32)
CURVE_IMAGES = (5, 10, 20, 50, 0)  # at most so many training images a class; 0 means all of them
RATES = (5e-4, 1e-3, 2e-3, 4e-3)  # 5e-4 is the paper's
PINNED = "heliconius"  # rates are chosen on it, and its studies change one thing against its tables
CROPPED = f"{PINNED}-curated"  # the copy of it that chapter 02 writes, without label and ruler: not a set of its own
BEST_STEP = "start"  # the step of the ladder with the lowest validation error on heliconius
CURVES = ("seran_d", "resnet101", "seran_d_no_se", "seran_d_no_attention")
LIGHTER = "seran_d_no_attention"  # the network with the lowest validation error by the paper's recipe
LIGHTER_EPOCHS = 14  # the most that compute no more than the laptop profile's of SERAN-D
FINETUNE_EPOCHS = 3  # take about half as long on a CPU as 8 epochs of SERAN-D by the paper's recipe


@dataclass(frozen=True)
class Study:
    """A set of runs with one question. Empty and zero values mean the profile's own, as in `settings.choose`.

    `pairs` are (epochs, images per class). `sets` names the data sets the study is meant for, `recipes` names of
    `recipes.RECIPES`. With `tuned` each model has the learning rate that the study "rates" found best for it. What
    `extends` another study counts as runs of that one, too.
    """

    asks: str
    sets: tuple[str, ...]
    models: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    pairs: tuple[tuple[int, int], ...] = ((0, 0),)
    rates: tuple[float, ...] = (0.0,)
    recipes: tuple[str, ...] = ("paper",)
    wiring: str = "paper"
    init: str = ""
    tuned: bool = False
    extends: str = ""

    def runs(self, profile: str, data: str, rates: Mapping[str, float] = MappingProxyType({})) -> Iterator[Settings]:
        """The study's runs on one data set, a folder or its name, seed by seed, so that what is finished first can be
        compared first; `rates` are those of `Evidence.rates`. Raises ValueError where one is not chosen yet."""
        choices = product(self.seeds, self.pairs, self.rates, self.recipes, self.models)
        for seed, (epochs, images), lr, recipe, model in choices:
            if self.tuned and model not in rates:
                raise ValueError(
                    f"the learning rate of {model} is not chosen yet: run the study rates on {PINNED} first"
                )
            yield choose(
                profile,
                data=data,
                seed=seed,
                epochs=epochs,
                model=model,
                wiring=self.wiring,
                init=self.init,
                lr=rates[model] if self.tuned else lr,
                recipe=recipe,
                images_per_class=images,
            )

    def check(self, data: str) -> None:
        """Any study can be done on a set that is none of the book's. Raises ValueError where it is not meant for one
        that is."""
        if data in {*BOTH, CROPPED} - set(self.sets):
            raise ValueError(f"{self.asks}: planned for {' and '.join(self.sets)}, not for {data}")


BOTH = ("butterfly100", PINNED)
STUDIES = MappingProxyType(
    {  # in the order of their worth: what is not run in the end stands last
        "tables": Study("Tables 1 and 2", BOTH, (*TABLE1, *TABLE2)),
        "wiring": Study("attention masks wired as in common ports", (PINNED,), ("seran_d", "attention92"),
                        wiring="port"),
        "start": Study("residual branches that start at zero", (PINNED,),
                       ("resnet101", "se_resnet101", "seran_d", "seran_d_no_se", "seran_d_no_attention"), init="zero"),
        "cropped": Study("photographs cropped so that no label shows", (CROPPED,), ("seran_d",)),
        "long": Study("many iterations", (PINNED,), CURVES, pairs=((32, 0),)),
        "rates": Study("the same budget of learning rates for every model", (PINNED,), (*TABLE1, *TABLE2),
                       seeds=(0,), rates=RATES),
        "few_images": Study("little data, the same number of steps", (PINNED,), CURVES[:2], pairs=((0, 20),)),
        "epochs": Study("the error over the number of epochs", (PINNED,), CURVES[:2], seeds=(0,),
                        pairs=tuple((epochs, 0) for epochs in CURVE_EPOCHS)),
        "images": Study("the error over images per class", (PINNED,), CURVES[:2], seeds=(0,),
                        pairs=tuple((0, images) for images in CURVE_IMAGES)),
        "more_seeds": Study("SERAN-D and its closest rivals, two seeds more", (PINNED,),
                            ("seran_d", "senet154", "seran_d_no_attention"), seeds=(3, 4), extends="tables"),
        "tuned": Study("Tables 1 and 2, each network with its own best learning rate", (PINNED,), (*TABLE1, *TABLE2),
                       tuned=True),
        "carried": Study("the rates that were chosen on pinned insects, in the field", ("butterfly100",), CURVES,
                         seeds=(0,), tuned=True),
        "frozen": Study("a linear classifier on pretrained features", BOTH, PRETRAINED, pairs=((1, 0),),
                        recipes=("frozen",)),
        "ladder": Study("a better recipe, step by step", (PINNED,), ("seran_d",), recipes=tuple(LADDER)[1:]),
        "best_step": Study("the ladder's best step on field photographs", ("butterfly100",), ("seran_d",),
                           recipes=(BEST_STEP,)),
        "lighter": Study("the same step on the network with the lowest validation error, as long as SERAN-D trains",
                         ("butterfly100",), (LIGHTER,), pairs=((LIGHTER_EPOCHS, 0),), recipes=(BEST_STEP,)),
        "finetune": Study("pretrained weights trained further", BOTH, PRETRAINED, pairs=((FINETUNE_EPOCHS, 0),),
                          recipes=("finetune",)),
    }
)  # fmt: skip
