"""How well a map finds the insect: scores against its mask, and baselines that need no network.

A map is (N, H, W), any range; only the order of its pixels counts, so that masks, Grad-CAM and brightness compare. An
insect mask is (N, H, W) bool. Scores have one entry per image. Where pixels of a map tie, the mean over all ways to
break the tie is taken, so that a map that says nothing scores by chance.
"""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F


def enlarged(maps: Tensor, size: int) -> np.ndarray:
    """Maps (N, h, w) at (N, size, size), bilinear, each position where the patch of pixels that it stands for is."""
    return F.interpolate(maps[:, None].float(), (size, size), mode="bilinear", align_corners=False)[:, 0].numpy()


def pointing(maps: np.ndarray, insect: np.ndarray) -> np.ndarray:
    """The pointing game: 1 where the highest pixel lies on the insect, else 0. By chance: the insect's share.

    Zhang et al., "Top-down neural attention by excitation backprop", IJCV 126, 2018, without their tolerance.
    """
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    return (highest & insect).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))


def overlap(maps: np.ndarray, insect: np.ndarray) -> np.ndarray:
    """Intersection over union of the insect and the map's highest pixels, as many as the insect has.

    By chance about a / (2 - a), where a is the insect's share of the picture. No threshold has to be chosen.
    """
    maps, insect = maps.reshape(len(maps), -1), insect.reshape(len(maps), -1)
    area = insect.sum(axis=1)
    threshold = np.take_along_axis(-np.sort(-maps, axis=1), area[:, None] - 1, axis=1)
    above, equal = maps > threshold, maps == threshold
    taken = (area - above.sum(axis=1)) / equal.sum(axis=1)
    common = (above & insect).sum(axis=1) + taken * (equal & insect).sum(axis=1)
    return common / (2 * area - common)


def separation(maps: np.ndarray, insect: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: how often a pixel of the insect is higher than one beside it. By chance 0.5.

    Below 0.5 the map points away from the insect.
    """
    ranks, inside = rankdata(maps.reshape(len(maps), -1), axis=1), insect.reshape(len(maps), -1)
    n, rest = inside.sum(axis=1), (~inside).sum(axis=1)
    return ((ranks * inside).sum(axis=1) - n * (n + 1) / 2) / (n * rest)


def centre(size: int) -> np.ndarray:
    """A map that always points to the middle of the picture, (size, size): what a photographer does."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.exp(-2 * (x**2 + y**2))


def blobs(shape: tuple[int, int, int], grain: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random maps (N, H, W), with about `grain` hills along each side."""
    coarse = torch.from_numpy(rng.standard_normal((shape[0], 1, grain, grain)))
    return F.interpolate(coarse, shape[1:], mode="bicubic", align_corners=True)[:, 0].numpy()
