"""How a run trains, by name: the paper's way, five years of better habits step by step, and two ways to transfer.

Each step of the ladder keeps what stands before it. What to try, and in which order, follows from "ResNet strikes
back" (Wightman et al., 2021), torchvision's recipe of 2021 and fast.ai's results on Imagenette, which agree that few
epochs want little regularisation: so no mixup, no cutmix and no random erasing, which help from some 80 epochs on. The
strong views came second at first, as in those recipes. Single trials that the ledger does not hold, on seed 0 of
heliconius, of ResNet-101 over 8 epochs, underfitted with them, in training as in validation; so they stand last, where
no other step inherits that.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

SMALLEST_VIEW = 64  # pixels: the networks pool five times and more


@dataclass(frozen=True)
class Recipe:
    """What a recipe changes, why, and where that comes from; without `init` or `lr` those are the profile's own.

    `decay_all`: weight decay on every parameter, or on weights of convolutions and linear layers only. `views` names
    the augmentation (`data.augment.VIEWS`). `sizes` are the sides of the training images, one after the other for
    equally many epochs, and `test_size` the side of all others, in sides of the settings' size. `ema`: the share of all
    steps that an exponential moving average (EMA) of the weights looks back over; 0 for none. `flip`: scores are the
    mean over a picture and its mirror image. `cycle`: the learning rate rises and falls; or else it is constant.
    """

    adds: str
    because: str
    source: str
    init: str = ""
    lr: float | None = None
    decay_all: bool = True
    views: str = "paper"
    smoothing: float = 0.0
    sizes: tuple[float, ...] = (1.0,)
    test_size: float = 1.0
    ema: float = 0.0
    flip: bool = False
    cycle: bool = True

    def training_sizes(self, size: int) -> tuple[int, ...]:
        """Sides of the training images in pixels, in order."""
        return tuple(_pixels(share, size) for share in self.sizes)

    def evaluation_size(self, size: int) -> int:
        """Side of the validation and test images in pixels."""
        return _pixels(self.test_size, size)


def _pixels(share: float, size: int) -> int:
    """A share of a side, a multiple of 16 because the stages halve the side; the side itself stays as it is."""
    return size if share == 1 else max(SMALLEST_VIEW, 16 * round(share * size / 16))


PAPER = Recipe(
    "the paper's settings",
    "the point of comparison",
    "SERAN, section 4.1, and the defaults of fast.ai v1",
)
START = replace(
    PAPER,
    adds="residual branches start at zero, no weight decay on norms and biases, learning rate 4e-3",
    because="each block is the identity at first, so a deep network takes larger steps from the beginning",
    source="Goyal et al., 2017; He et al., CVPR 2019 (bag of tricks)",
    init="zero",
    lr=4e-3,
    decay_all=False,
)
SIZES = replace(
    START,
    adds="training images grow from two thirds of the size to the whole of it",
    because="early epochs learn what is coarse, and cost less than half",
    source="Howard, DAWNBench 2018",
    sizes=(2 / 3, 5 / 6, 1.0),
)
AVERAGE = replace(
    SIZES,
    adds="running average of the weights, scores averaged over a picture and its mirror image",
    because="both take away noise, of the last steps and of the pose",
    source="Polyak and Juditsky, 1992; Krizhevsky et al., 2012",
    ema=0.05,
    flip=True,
)
VIEWS = replace(
    AVERAGE,
    adds="random resized crops, one more change a picture, label smoothing 0.1, test images a sixth larger",
    because="no picture is seen twice, the network does not grow sure of its training images, and crops show insects "
    "larger than whole pictures do",
    source="Szegedy et al., CVPR 2015 and 2016; Mueller and Hutter, ICCV 2021 (TrivialAugment); Touvron et al., "
    "NeurIPS 2019 (FixRes)",
    views="strong",
    smoothing=0.1,
    test_size=7 / 6,
)
CONSTANT = replace(
    PAPER,
    adds="the paper's settings at a constant learning rate",
    because="a rate that falls to zero ends over-fitting, so a claim about late epochs (C6) needs one that does not",
    source="the paper does not say that it used a cycle",
    cycle=False,
)
LADDER = MappingProxyType({"paper": PAPER, "start": START, "sizes": SIZES, "average": AVERAGE, "views": VIEWS})
TRANSFER = MappingProxyType(
    {
        "frozen": Recipe(
            "pretrained features as they are, logistic regression on them",
            "nothing to train but one linear layer, whose best weights can be computed",
            "Kornblith et al., CVPR 2019",
            lr=0.0,
        ),
        "finetune": Recipe(
            "all pretrained weights trained further",
            "features of 1,000 kinds of things become features of insects",
            "Kornblith et al., CVPR 2019",
            lr=1e-3,
            decay_all=False,
            views="strong",
            smoothing=0.1,
            sizes=(2 / 3,),
            test_size=5 / 6,
        ),
    }
)
RECIPES = MappingProxyType({**LADDER, "constant": CONSTANT, **TRANSFER})
