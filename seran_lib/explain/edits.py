"""Test pictures with something taken away or put elsewhere: what does the network still recognise?

All work on square windows as stored by `data.pack`, before they are resized, (n, S, S, 3) uint8. Whatever is erased is
filled smoothly from what surrounds it, so that on a plain sheet no outline is left. The network never
saw such pictures in training. So each erasure has a control, in which as many pixels are erased elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from torch import Tensor
from torch.nn import functional as F

from seran_lib.explain.localise import blobs

GREY = (124, 116, 104)  # the mean of ImageNet, which is 0 for the network
GROWTH = 0.02  # of the side: erased about the insect as well, for its seam and shadow
MARGIN = 0.04  # of the side, kept around the insect in a crop


@dataclass(frozen=True)
class Scenes:
    """Pictures (n, S, S, 3) uint8 with masks (n, S, S) bool of the insect and of label, ruler and chart.

    `blobs` (n, S, S) are smooth random maps that say where a control erases.
    """

    pictures: np.ndarray
    insect: np.ndarray
    furniture: np.ndarray
    blobs: np.ndarray

    def take(self, rows: np.ndarray) -> "Scenes":
        """Some of the scenes, in the order of `rows`."""
        return Scenes(self.pictures[rows], self.insect[rows], self.furniture[rows], self.blobs[rows])


def make_scenes(pictures: np.ndarray, insect: np.ndarray, furniture: np.ndarray, seed: int) -> Scenes:
    """Scenes with the random maps of a seed, about four hills across the picture."""
    return Scenes(pictures, insect, furniture, blobs(insect.shape, 4, np.random.default_rng((seed, 11))))


def filled(pictures: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Pictures (n, S, S, 3) uint8 whose holes (n, S, S) bool are filled smoothly from around; the rest is untouched.

    Pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996): known pixels are averaged to ever smaller pictures,
    then each level is filled from the one below. A picture that is one hole becomes grey.
    """
    weight = torch.from_numpy(~holes)[:, None].float()
    colour = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() * weight
    result = _pull_push(colour, weight).permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8).numpy()
    return np.where(holes[..., None], result, pictures)


def _pull_push(colour: Tensor, weight: Tensor) -> Tensor:
    """Colours (n, 3, h, w), multiplied by their weights (n, 1, h, w) in 0..1, with nothing missing."""
    if max(weight.shape[-2:]) == 1:
        grey = colour.new_tensor(GREY).view(1, 3, 1, 1)
        return torch.where(weight > 0, colour / weight.clamp(min=1e-6), grey)
    below, known = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (colour, weight))
    scale = 1 / known.clamp(min=0.25)  # a pixel with a single known one among its four counts as known
    rough = _pull_push(below * scale, known * scale)
    return colour + (1 - weight) * F.interpolate(rough, weight.shape[-2:], mode="bilinear", align_corners=False)


def grown(mask: np.ndarray) -> np.ndarray:
    """Masks (n, S, S) with a seam of `GROWTH` about them."""
    return _widened(mask, max(1, round(GROWTH * mask.shape[-1])))


def shrunk(mask: np.ndarray) -> np.ndarray:
    """Masks (n, S, S) without their outermost pixels, which hold some of the sheet's colour."""
    return ~_widened(~mask, 1)


def _widened(mask: np.ndarray, reach: int) -> np.ndarray:
    wide = F.max_pool2d(torch.from_numpy(mask)[:, None].float(), 2 * reach + 1, stride=1, padding=reach)
    return wide[:, 0].numpy() > 0


def elsewhere(wanted: np.ndarray, forbidden: np.ndarray, order: np.ndarray) -> np.ndarray:
    """As many pixels as each mask of `wanted` has, outside `forbidden`: those where `order` is highest, (n, S, S).

    Where not so many are left, all of them.
    """
    n = len(wanted)
    free = ~forbidden.reshape(n, -1)
    rank = (-np.where(free, order.reshape(n, -1), -np.inf)).argsort(axis=1, kind="stable").argsort(axis=1)
    return (free & (rank < wanted.reshape(n, -1).sum(axis=1, keepdims=True))).reshape(wanted.shape)


def boxes(insect: np.ndarray) -> np.ndarray:
    """The smallest upright rectangle about each insect, (n, S, S) bool."""
    lines = insect.any(axis=2), insect.any(axis=1)
    high, wide = (np.maximum.accumulate(x, 1) & np.maximum.accumulate(x[:, ::-1], 1)[:, ::-1] for x in lines)
    return high[:, :, None] & wide[:, None, :]


def crop_square(insect: np.ndarray) -> tuple[int, int, int]:
    """Top, left and side of the square about an insect (S, S) with its margin, moved inside the picture."""
    side = insect.shape[0]
    low, high = np.array([np.flatnonzero(insect.any(axis=axis))[[0, -1]] for axis in (1, 0)]).T
    length = min(side, round((high - low).max() + 1 + 2 * MARGIN * side))
    top, left = np.clip((low + high + 1 - length) // 2, 0, side - length).tolist()
    return top, left, length


def cropped(scenes: Scenes) -> np.ndarray:
    """Each picture cut to a square about the insect and enlarged to the old size, as the paper cut by hand (§2)."""
    result = np.empty_like(scenes.pictures)
    for k, (picture, insect) in enumerate(zip(scenes.pictures, scenes.insect, strict=True)):
        top, left, length = crop_square(insect)
        cut = torch.from_numpy(picture[top : top + length, left : left + length]).permute(2, 0, 1)[None].float()
        large = F.interpolate(cut, picture.shape[:2], mode="bicubic", align_corners=False)
        result[k] = large[0].permute(1, 2, 0).round().clamp(0, 255)
    return result


def crop_mask(insect: np.ndarray) -> np.ndarray:
    """What `cropped` keeps, (n, S, S) bool."""
    kept = np.zeros_like(insect)
    for mask, one in zip(kept, insect, strict=True):
        top, left, length = crop_square(one)
        mask[top : top + length, left : left + length] = True
    return kept


def _painted(pictures: np.ndarray, where: np.ndarray, colour: tuple[int, int, int] | int) -> np.ndarray:
    return np.where(where[..., None], np.array(colour, dtype=np.uint8), pictures)


def _on_sheet_of(scenes: Scenes, others: Scenes) -> np.ndarray:
    sheet = filled(others.pictures, grown(others.insect))
    return np.where(shrunk(scenes.insect)[..., None], scenes.pictures, sheet)


def erase_highest(images: Tensor, maps: np.ndarray, share: float) -> Tensor:
    """Normalised images (n, 3, H, W) without the given share of pixels, those where their maps (n, H, W) are highest.

    They are filled by noisy linear imputation, which hides the shape of what was erased: ROAD, "remove and debias"
    (Rong et al., ICML 2022), as built by the package grad-cam.
    """
    torch.manual_seed(0)  # of the noise
    highest = -np.sort(-maps.reshape(len(maps), -1), axis=1)[:, round(share * maps[0].size)]
    kept = torch.from_numpy(maps <= highest[:, None, None]).float()
    impute = NoisyLinearImputer()
    return torch.stack([impute(image, mask) for image, mask in zip(images, kept, strict=True)])


def _beside(scenes: Scenes, mask: np.ndarray, taboo: np.ndarray) -> np.ndarray:
    return filled(scenes.pictures, elsewhere(mask, taboo, scenes.blobs))


Edit = Callable[[Scenes, Scenes], np.ndarray]  # the scenes and, for each, one of another species -> pictures
EDITS: MappingProxyType[str, Edit] = MappingProxyType(
    {
        "as it is": lambda s, o: s.pictures,
        "insect erased": lambda s, o: filled(s.pictures, grown(s.insect)),
        "insect's box erased": lambda s, o: filled(s.pictures, grown(boxes(s.insect))),
        "as much erased beside it": lambda s, o: _beside(s, grown(s.insect), grown(s.insect)),
        "label and ruler covered": lambda s, o: filled(s.pictures, grown(s.furniture) & ~s.insect),
        "as much bare sheet covered": lambda s, o: _beside(
            s, grown(s.furniture) & ~s.insect, grown(s.furniture | s.insect)
        ),
        "only label and ruler, on grey": lambda s, o: _painted(s.pictures, ~s.furniture, GREY),
        "only the insect, on grey": lambda s, o: _painted(s.pictures, ~shrunk(s.insect), GREY),
        "only its outline, black on grey": lambda s, o: _painted(_painted(s.pictures, ~s.insect, GREY), s.insect, 0),
        "insect on another kind's sheet": _on_sheet_of,
        "cropped to the insect": lambda s, o: cropped(s),
        "around that crop erased": lambda s, o: filled(s.pictures, ~crop_mask(s.insect)),
    }
)
# An edit and its control: as many pixels erased elsewhere; or the same taken away without a change of scale.
CONTROLS = MappingProxyType(
    {
        "insect erased": "as much erased beside it",
        "label and ruler covered": "as much bare sheet covered",
        "cropped to the insect": "around that crop erased",
    }
)
