"""The four profiles: how long a training may take decides the size of everything else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One row of the README's profile table.

    `size` in pixels, `batch` in images, `lr` the highest learning rate of the one-cycle schedule, `min_images` the
    fewest images a species needs to be kept, `init` how residual branches start, `grid` the models that `make book`
    trains. In `smoke` they start at zero, because a minute of training is too short for the plain start of 2019.
    """

    purpose: str
    source: str
    budget: str
    width: float
    size: int
    batch: int
    epochs: int
    lr: float
    min_images: int
    init: str
    grid: tuple[str, ...]


TABLE1 = ("resnet101", "resnet152", "attention92", "se_resnet101", "senet154", "seran", "seran_d")
TABLE2 = ("seran_d_avg_pool", "seran_d_no_se", "seran_d_no_attention")  # besides seran_d and seran
PROFILES = {
    "smoke": Profile(
        "CI, a bare Run all", "drawn insects", "a minute a notebook on 2 cores", 1 / 8, 64, 16, 12, 2e-3, 20, "zero",
        ("resnet101", "seran_d"),
    ),
    "laptop": Profile(
        "real science without a GPU", "photographs", "minutes to two hours a model on 2 cores",
        1 / 4, 96, 32, 8, 1e-3, 20, "plain",
        (*TABLE1, *TABLE2),
    ),
    "colab": Profile(
        "a free T4", "ALA, as collected", "one session, resumes", 1.0, 224, 32, 12, 5e-4, 20, "plain", TABLE1
    ),
    "paper": Profile(
        "the reproduction", "ALA, as collected", "hours on a GPU, stated before the start",
        1.0, 224, 32, 40, 5e-4, 20, "plain",
        (*TABLE1, *TABLE2),
    ),
}  # fmt: skip
FULL = tuple(name for name, profile in PROFILES.items() if profile.width == 1)  # those of the paper's own networks
