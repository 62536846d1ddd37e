"""The paper's augmentation (§4.1), drawn once per epoch for every image and applied to a whole batch on the device.

The paper names the kinds: resizing with random cropping or padding, a horizontal or vertical flip, lighting and zoom,
normalisation by mean and standard deviation. Their strengths are the defaults of fast.ai v1: zoom up to 1.1 and
lighting up to 0.2, each with probability 0.75. All of the geometry is one affine map, so pixels are resampled once.

The strong views are for the better recipes: a random resized crop (Szegedy et al., CVPR 2015) and one more change a
picture, of random kind and strength, as in TrivialAugment (Mueller and Hutter, ICCV 2021). Its changes of hue, of
tonal steps and its inversion are left out, because the colour tells species apart.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import rgb_to_grayscale

MEAN = (0.485, 0.456, 0.406)  # of the RGB channels of ImageNet, in 0..1: the numbers fast.ai v1 normalises with
DEVIATION = (0.229, 0.224, 0.225)
MAX_ZOOM = 1.1
MAX_LIGHTING = 0.2
PROBABILITY = 0.75
PADDING = 1 / 16  # of the side: how far a crop may reach over the border, where the image is mirrored

SMALLEST_CROP = 0.35  # of the area of the square
MAX_STRETCH = 4 / 3  # width to height of what a strong view shows

FIELDS = ("position", "zoom", "x", "y", "flip_x", "flip_y", "brightness", "contrast")
STRONG_FIELDS = (*FIELDS, "stretch", "angle", "shear_x", "shear_y", "saturation")
# One of these changes is drawn for a picture: its value where it is not, and from lowest to highest where it is.
CHANGES = {
    "angle": (0.0, -np.pi / 4, np.pi / 4),
    "shear_x": (0.0, -0.3, 0.3),
    "shear_y": (0.0, -0.3, 0.3),
    "brightness": (0.0, -1.0, 1.0),
    "contrast": (1.0, 0.5, 1.8),
    "saturation": (1.0, 0.0, 2.0),
}


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


def draw_strong_parameters(images: int, *, seed: int, epoch: int) -> np.ndarray:
    """Parameters of the strong views of one epoch, (images, 13) float32, columns as in `STRONG_FIELDS`.

    The first eight mean what they mean in `draw_parameters`. `stretch` is the root of width to height, `angle` in
    radians, `shear_x` and `shear_y` are slopes, `saturation` is 0 for grey, 1 for the picture and 2 for twice as
    colourful. One image in seven has none of the `CHANGES`.
    """
    rng = np.random.default_rng((seed, epoch))
    table = dict(zip(STRONG_FIELDS, rng.random((len(STRONG_FIELDS), images)), strict=True))
    kind = rng.integers(1 + len(CHANGES), size=images)
    table["zoom"] = (SMALLEST_CROP + (1 - SMALLEST_CROP) * table["zoom"]) ** -0.5
    table["stretch"] = MAX_STRETCH ** (table["stretch"] - 0.5)
    for name in ("x", "y"):
        table[name] = 2 * table[name] - 1
    for name in ("flip_x", "flip_y"):
        table[name] = table[name] < 0.5
    for number, (name, (neutral, lowest, highest)) in enumerate(CHANGES.items()):
        table[name] = np.where(kind == number, lowest + (highest - lowest) * table[name], neutral)
    return np.stack(list(table.values()), axis=1).astype(np.float32)


VIEWS = {"paper": draw_parameters, "strong": draw_strong_parameters}


def normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) in 0..1 minus the mean, divided by the deviation, per channel."""
    mean, deviation = images.new_tensor((MEAN, DEVIATION)).view(2, 1, 3, 1, 1)
    return (images - mean) / deviation


def denormalise(images: Tensor) -> Tensor:
    """The inverse of `normalise`, clipped to 0..1: for looking at a batch."""
    mean, deviation = images.new_tensor((MEAN, DEVIATION)).view(2, 1, 3, 1, 1)
    return (images * deviation + mean).clamp(0, 1)


def to_float(windows: Tensor) -> Tensor:
    """Square windows (N, S, S, 3) uint8 -> (N, 3, S, S) float32 in 0..1."""
    return windows.permute(0, 3, 1, 2).float().div_(255)


def affine_maps(parameters: Tensor) -> Tensor:
    """The (N, 2, 3) maps from output to input coordinates, both in -1..1, for all of the geometry at once."""
    _, zoom, x, y, flip_x, flip_y, _, _, *strong = parameters.unbind(1)
    reach = 1 - 1 / zoom + 2 * PADDING
    maps = parameters.new_zeros(len(parameters), 2, 3)
    maps[:, 0, 0], maps[:, 0, 2] = (1 - 2 * flip_x) / zoom, x * reach
    maps[:, 1, 1], maps[:, 1, 2] = (1 - 2 * flip_y) / zoom, y * reach
    if strong:
        stretch, angle, shear_x, shear_y, _ = strong
        sine, cosine = angle.sin(), angle.cos()
        turned = torch.stack([cosine, -sine, sine, cosine], 1).view(-1, 2, 2)
        slanted = torch.stack([stretch, shear_x, shear_y, 1 / stretch], 1).view(-1, 2, 2)
        maps[:, :, :2] = maps[:, :, :2] @ turned @ slanted
    return maps


def augment(windows: Tensor, parameters: Tensor, size: int) -> Tensor:
    """Training view: (N, S, S, 3) uint8 and (N, 8 or 13) parameters -> normalised (N, 3, size, size) float32."""
    grid = F.affine_grid(affine_maps(parameters), [len(windows), 3, size, size], align_corners=False)
    images = F.grid_sample(to_float(windows), grid, padding_mode="reflection", align_corners=False)
    if parameters.shape[1] == len(STRONG_FIELDS):
        saturation = parameters[:, -1].view(-1, 1, 1, 1)
        images = torch.lerp(rgb_to_grayscale(images), images, saturation).clamp_(0, 1)
    brightness, contrast = parameters[:, 6].view(-1, 1, 1, 1), parameters[:, 7].view(-1, 1, 1, 1)
    return normalise(torch.sigmoid(torch.logit(images, eps=1e-3) * contrast + brightness))


def plain_view(windows: Tensor, size: int) -> Tensor:
    """Evaluation view: the whole window resized, (N, S, S, 3) uint8 -> normalised (N, 3, size, size) float32."""
    images = F.interpolate(to_float(windows), (size, size), mode="bilinear", antialias=True)
    return normalise(images)
