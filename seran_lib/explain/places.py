"""Where the maps of a network are highest: on the insect or beside it, and what their removal does."""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F

from seran_lib.data.augment import denormalise
from seran_lib.explain import localise
from seran_lib.explain import maps as explain
from seran_lib.explain.edits import erase_highest
from seran_lib.explain.subject import Row, Subject, measured, wrong_row

CAM_STAGES = (3, 4)
ROAD_IMAGES = 80
ROAD_SHARES = (0.1, 0.2, 0.4)
SCORES = {"pointing": localise.pointing, "overlap": localise.overlap, "separation": localise.separation}
Maps = dict[str, np.ndarray]
Found = dict[tuple[str, str, str], np.ndarray]  # (kind, map, measure) -> a number per image


def mask_maps(masks: dict[str, Tensor], size: int) -> Maps:
    """Two maps of every attention mask (N, C, h, w), (N, size, size): its mean, and its most varying channel."""
    maps = {}
    for name, mask in masks.items():
        most = mask.std((2, 3)).argmax(1)
        maps[f"mask {name}"] = localise.enlarged(mask.mean(1).cpu(), size)
        maps[f"mask {name}, channel"] = localise.enlarged(mask[torch.arange(len(mask)), most].cpu(), size)
    return maps


def channel_scores(masks: dict[str, Tensor], insect: np.ndarray) -> Found:
    """("mask", mask, measure) -> (N,): level and spread of a mask over positions, and what single channels tell.

    Each channel is correlated over its positions with the share of insect in them. "channels apart" is the mean size of
    the correlation over channels, whichever way they point; "channels toward" the share of channels that are higher on
    the insect.
    """
    found = {}
    for name, mask in masks.items():
        mask = mask.cpu().float()
        share = F.interpolate(torch.from_numpy(insect)[:, None].float(), mask.shape[-2:], mode="area")
        first, second = (x - x.mean((2, 3), keepdim=True) for x in (mask, share))
        correlation = F.cosine_similarity(first.flatten(2), second.flatten(2), dim=2)
        found["mask", name, "level"] = mask.mean((1, 2, 3)).numpy()
        found["mask", name, "spread"] = mask.std((2, 3)).mean(1).numpy()
        found["mask", name, "channels apart"] = correlation.abs().mean(1).numpy()
        found["mask", name, "channels toward"] = (correlation > 0).float().mean(1).numpy()
    return found


def _scores(model: nn.Module, subject: Subject, *, cams: bool) -> Found:
    """(kind, map, measure) -> (n,) of all masks of a network and, if asked for, of Grad-CAM."""
    parts: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for rows in subject.chunks():
        images, insect = subject.view(subject.scenes.pictures[rows]), subject.insect[rows]
        masks = explain.attention_masks(model, images)
        maps = mask_maps(masks, subject.size)
        maps |= {f"Grad-CAM {stage}": explain.grad_cam(model, images, stage) for stage in CAM_STAGES if cams}
        found = channel_scores(masks, insect)
        found |= {("place", name, s): score(m, insect) for name, m in maps.items() for s, score in SCORES.items()}
        for key, values in found.items():
            parts.setdefault(key, []).append(values)
    whole = {key: np.concatenate(values) for key, values in parts.items()}
    for measure in SCORES:
        if single := [values for (_, name, m), values in whole.items() if m == measure and _is_mean_mask(name)]:
            whole["place", "all masks", measure] = np.mean(single, axis=0)
    return whole


def _is_mean_mask(name: str) -> bool:
    return name.startswith("mask ") and not name.endswith("channel")


def place_rows(trained: nn.Module, randoms: list[nn.Module], subject: Subject) -> list[Row]:
    """Scores of the trained network's maps, of random weights, and their difference.

    "All masks" is the mean of the scores of the masks, not the score of a mean. Grad-CAM is compared with the run's own
    first weights only, the first of `randoms`.
    """
    found = _scores(trained, subject, cams=True)
    draws = [_scores(network, subject, cams=k == 0) for k, network in enumerate(randoms)]
    rows = []
    for (kind, name, measure), values in found.items():
        random = np.mean([draw[kind, name, measure] for draw in draws if (kind, name, measure) in draw], axis=0)
        for variant, numbers in (("trained", values), ("random", random), ("gain", values - random)):
            rows.append(measured(kind, name, variant, measure, numbers))
        if name == "all masks":
            rows += [measured(kind, name, f"random {k}", measure, d[kind, name, measure]) for k, d in enumerate(draws)]
    return rows


def baseline_rows(subject: Subject) -> list[Row]:
    """Scores of maps that need no network: dark pixels, the middle of the picture, and none at all, which is chance."""
    pixels = denormalise(subject.view(subject.scenes.pictures)).mean(1).cpu().numpy()
    maps = {"darkness": -pixels, "centre": localise.centre(subject.size) + 0 * pixels, "chance": 0 * pixels}
    scored = [(name, m, score(values, subject.insect)) for name, values in maps.items() for m, score in SCORES.items()]
    return [measured("place", name, "", measure, values) for name, measure, values in scored]


def road_rows(model: nn.Module, subject: Subject) -> list[Row]:
    """Errors after the removal of what a map calls important, on some of the images, evenly chosen.

    The maps: attention (the mean rank over all masks), Grad-CAM of stage 4, the insect itself, and smooth random
    maps for comparison.
    """
    rows = np.unique(np.linspace(0, len(subject) - 1, ROAD_IMAGES).round().astype(int))
    images = subject.view(subject.scenes.pictures[rows])
    random = localise.blobs((len(rows), subject.size, subject.size), 4, np.random.default_rng(13))
    ties, cam = 1e-6 * random, explain.grad_cam(model, images, 4)
    maps = {"the insect": subject.insect[rows] + ties, "Grad-CAM 4": cam + ties, "random": random}
    masks = mask_maps(explain.attention_masks(model, images), subject.size)
    if masks := [mask for name, mask in masks.items() if _is_mean_mask(name)]:
        maps["all masks"] = np.mean([rankdata(m.reshape(len(m), -1), axis=1).reshape(m.shape) for m in masks], axis=0)
    found = []
    for name, highest in maps.items():
        for share in ROAD_SHARES:
            erased = erase_highest(images.cpu(), highest, share).split(subject.batch)
            given = np.concatenate([subject.answers(model, part) for part in erased])
            wrong = given != subject.targets[rows]
            found.append(wrong_row("road", name, f"{share:g}", wrong))
    return found
