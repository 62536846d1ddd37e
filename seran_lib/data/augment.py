"""The paper's augmentation (§4.1), drawn once per epoch for every image and applied to a whole batch on the device.

The paper names the kinds: resizing with random cropping or padding, a horizontal or vertical flip, lighting and zoom,
normalisation by mean and standard deviation. Their strengths are the defaults of fast.ai v1: zoom up to 1.1 and
lighting up to 0.2, each with probability 0.75. All of the geometry is one affine map, so pixels are resampled once.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MEAN = (0.485, 0.456, 0.406)  # of the RGB channels of ImageNet, in 0..1: the numbers fast.ai v1 normalises with
DEVIATION = (0.229, 0.224, 0.225)
MAX_ZOOM = 1.1
MAX_LIGHTING = 0.2
PROBABILITY = 0.75
PADDING = 1 / 16  # of the side: how far a crop may reach over the border, where the image is mirrored

FIELDS = ("position", "zoom", "x", "y", "flip_x", "flip_y", "brightness", "contrast")


def draw_parameters(images: int, *, seed: int, epoch: int) -> np.ndarray:
    """Augmentation parameters of one epoch, (images, 8) float32, columns as in `FIELDS`.

    Row i belongs to image i whatever the batches are, so that a batch depends on (seed, epoch, image) alone.
    `position` in 0..1 places the square along the long side, `zoom` is >= 1, `x` and `y` in -1..1 place the crop
    between its furthest left (up) and right (down), flips are 0 or 1, `brightness` is added to the logit of a pixel
    and `contrast` multiplies it.
    """
    rng = np.random.default_rng((seed, epoch))
    table = rng.random((images, len(FIELDS)))
    zoomed, lit = rng.random((2, images)) < PROBABILITY
    table[:, 1] = np.where(zoomed, 1 + table[:, 1] * (MAX_ZOOM - 1), 1)
    table[:, 2:4] = 2 * table[:, 2:4] - 1
    table[:, 4:6] = table[:, 4:6] < 0.5
    level = 0.5 + MAX_LIGHTING * (table[:, 6] - 0.5)
    table[:, 6] = np.where(lit, np.log(level / (1 - level)), 0)
    table[:, 7] = np.where(lit, (1 - MAX_LIGHTING) ** (1 - 2 * table[:, 7]), 1)
    return table.astype(np.float32)


def normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) in 0..1 minus the mean, divided by the deviation, per channel."""
    mean, deviation = images.new_tensor(MEAN), images.new_tensor(DEVIATION)
    return (images - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)


def denormalise(images: Tensor) -> Tensor:
    """The inverse of `normalise`, clipped to 0..1: for looking at a batch."""
    mean, deviation = images.new_tensor(MEAN), images.new_tensor(DEVIATION)
    return (images * deviation.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1)).clamp(0, 1)


def to_float(windows: Tensor) -> Tensor:
    """Square windows (N, S, S, 3) uint8 -> (N, 3, S, S) float32 in 0..1."""
    return windows.permute(0, 3, 1, 2).float().div_(255)


def affine_maps(parameters: Tensor) -> Tensor:
    """The (N, 2, 3) maps from output to input coordinates, both in -1..1, for crop, padding, flips and zoom at once."""
    _, zoom, x, y, flip_x, flip_y, _, _ = parameters.unbind(1)
    reach = 1 - 1 / zoom + 2 * PADDING
    maps = parameters.new_zeros(len(parameters), 2, 3)
    maps[:, 0, 0], maps[:, 0, 2] = (1 - 2 * flip_x) / zoom, x * reach
    maps[:, 1, 1], maps[:, 1, 2] = (1 - 2 * flip_y) / zoom, y * reach
    return maps


def augment(windows: Tensor, parameters: Tensor, size: int) -> Tensor:
    """Training view: (N, S, S, 3) uint8 and (N, 8) parameters -> normalised (N, 3, size, size) float32."""
    grid = F.affine_grid(affine_maps(parameters), [len(windows), 3, size, size], align_corners=False)
    images = F.grid_sample(to_float(windows), grid, padding_mode="reflection", align_corners=False)
    brightness, contrast = parameters[:, 6].view(-1, 1, 1, 1), parameters[:, 7].view(-1, 1, 1, 1)
    return normalise(torch.sigmoid(torch.logit(images, eps=1e-3) * contrast + brightness))


def plain_view(windows: Tensor, size: int) -> Tensor:
    """Evaluation view: the whole window resized, (N, S, S, 3) uint8 -> normalised (N, 3, size, size) float32."""
    images = F.interpolate(to_float(windows), (size, size), mode="bilinear", antialias=True)
    return normalise(images)
