"""A finished run becomes a bundle: the network as ONNX, its thresholds, its accuracy, its card; verified, or nothing.

The preparation of pixels is part of the graph: it takes the square windows that `data.pack` keeps, and resizes and
normalises them as test images are in training. Resizing is two products with the matrix that torch's own antialiased
interpolation makes of the identity.
"""

import hashlib
import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.nn import functional as F

from seran_lib import paths
from seran_lib.data.augment import normalise, plain_view, to_float
from seran_lib.data.loaders import CENTRE
from seran_lib.errors import DataError
from seran_lib.files import replacing_folder, write_json
from seran_lib.nets.attention import MaskBranch
from seran_lib.predict.bundle import ABOUT, CARD, MODEL, WEIGHTS, Bundle, seal
from seran_lib.predict.card import card
from seran_lib.predict.describe import describe
from seran_lib.train.callbacks.state import contiguous
from seran_lib.train.dataset import Dataset, open_dataset
from seran_lib.train.device import pick_device
from seran_lib.train.evaluate import predict
from seran_lib.train.ledger import Results
from seran_lib.train.recipes import RECIPES
from seran_lib.train.scores import Scores, read_scores
from seran_lib.train.settings import Settings, settings_of
from seran_lib.train.trained import stored_weights, trained_network

VERIFIED = 200  # validation images on which torch and onnxruntime must agree, or all where there are fewer
TOLERANCE = 1e-3  # of a score
BATCH = 25


class FromPixels(nn.Module):
    """Windows (n, side, side, 3) uint8 -> scores (n, classes), and every attention mask M (n, C, h, w).

    `size` is the side of what the network sees. Where it is `mirrored`, a score is the mean over the picture and its
    mirror image, as `train.evaluate.predict` has it; the masks are those of the picture.
    """

    def __init__(self, network: nn.Module, side: int, size: int, *, mirrored: bool):
        super().__init__()
        self.network, self.mirrored = network, mirrored
        matrix = F.interpolate(torch.eye(side)[None, None], (size, side), mode="bilinear", antialias=True)[0, 0]
        self.register_buffer("matrix", matrix)
        self.branches = [module for module in network.modules() if isinstance(module, MaskBranch)]

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        masks: list[Tensor] = []
        images = normalise(self.matrix @ to_float(windows) @ self.matrix.T)
        hooks = [branch.register_forward_hook(lambda _, __, mask: masks.append(mask)) for branch in self.branches]
        scores = self.network(images)
        for hook in hooks:
            hook.remove()
        if self.mirrored:
            scores = (scores + self.network(images.flip(3))) / 2
        return scores, *masks


def find_run(run_id: str, data: str) -> tuple[dict[str, object], Settings]:
    """The ledger's row of a run, and its settings with the images in the folder `data`. Raises ValueError where no
    ledger holds it."""
    for results in (Results(paths.results()), Results(paths.runs() / "smoke")):
        rows = results.rows()
        if (rows["run_id"] == run_id).any():
            row = rows[rows["run_id"] == run_id].to_dict("records")[-1]
            # the profile's may have changed since
            return row, replace(settings_of(row, data), **{name: row[name] for name in ("width", "size", "batch")})
    raise ValueError(f"no run is called {run_id}: results/README.md and `seran train` name them")


def export(run_id: str, out: str | Path, data: str) -> Bundle:
    """Write a finished run, whose images are in the folder `data`, as a bundle into the folder `out`; an older bundle
    there is replaced.

    Raises DataError where its weights are not here, `data` holds other images than it saw, `out` holds something else,
    or torch and onnxruntime do not agree; nothing is left in `out` then.
    """
    out = Path(out)
    if out.exists() and not (out / ABOUT).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is there, and is no bundle", "Name a new folder.")
    row, settings = find_run(run_id, data)
    dataset = open_dataset(settings, progress=True)
    if dataset.fingerprint != row["data_fingerprint"]:
        raise DataError(f"{data} holds other images than {run_id} saw", "Name the folder that it was trained on.")
    network = trained_network(settings, dataset, pick_device())
    scores = part_scores(row, settings, dataset, network)
    network = network.cpu().to(memory_format=torch.contiguous_format)
    about = describe(row, settings, dataset, scores)
    weights, content = to_safetensors(contiguous(network)), to_onnx(settings, dataset, network)
    verified = Bundle(out, about, content)
    about["verified"] = verify(verified, settings, dataset, network)
    files = {MODEL: content, WEIGHTS: weights, CARD: card(about).encode()}
    about["files"] = {name: hashlib.sha256(written).hexdigest() for name, written in files.items()}
    with FileLock(paths.runs() / "export.lock"), replacing_folder(out) as part:
        for name, written in files.items():
            (part / name).write_bytes(written)
        write_json(part / ABOUT, seal(about))
    return verified


def part_scores(row: dict[str, object], settings: Settings, dataset: Dataset, network: nn.Module) -> dict[str, Scores]:
    """The scores of the validation and test images: those that the run kept where the weights are its own, computed
    now where they are not or it kept none."""
    kept = read_scores(settings.results, settings.run_id)
    if kept and stored_weights(settings) == row["weights_sha256"]:
        return kept
    loaders = dataset.loaders(settings, next(network.parameters()).device)
    return {
        part: Scores(
            predict(network, loader, mirrored=RECIPES[settings.recipe].flip), dataset.targets[dataset.parts == part]
        )
        for part, loader in (("valid", loaders[1]), ("test", loaders[2]))
    }


def to_onnx(settings: Settings, dataset: Dataset, network: nn.Module) -> bytes:
    """The network with its preparation of pixels as ONNX, for any number of images at once."""
    recipe = RECIPES[settings.recipe]
    side = dataset.images.side
    graph = FromPixels(network, side, recipe.evaluation_size(settings.size), mirrored=recipe.flip).eval()
    names = ["windows", "scores", *(f"mask_{number}" for number in range(1, len(graph.branches) + 1))]
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own: it is the older of two, and ten times as quick
        torch.onnx.export(
            graph,
            (torch.zeros(2, side, side, 3, dtype=torch.uint8),),
            stream,
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "n"} for name in names},
        )
    return stream.getvalue()


def verify(bundle: Bundle, settings: Settings, dataset: Dataset, network: nn.Module) -> dict[str, object]:
    """How far the scores of onnxruntime are from those of torch, in float32 and prepared as in training, on validation
    images. Raises DataError where they differ by more than `TOLERANCE`, or a first answer does."""
    recipe = RECIPES[settings.recipe]
    rows = np.flatnonzero(dataset.parts == "valid")
    rows = rows[np.linspace(0, len(rows) - 1, min(VERIFIED, len(rows))).astype(int)]  # of all species
    farthest, others = 0.0, 0
    for chosen in np.split(rows, range(BATCH, len(rows), BATCH)):
        windows = dataset.images.fetch(chosen, np.full(len(chosen), CENTRE))
        images = plain_view(torch.from_numpy(windows), recipe.evaluation_size(settings.size))
        with torch.inference_mode():
            ours = network(images)
            ours = ((ours + network(images.flip(3))) / 2 if recipe.flip else ours).numpy()
        theirs = bundle.scores(windows)
        farthest = max(farthest, float(np.abs(ours - theirs).max()))
        others += int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    if not farthest <= TOLERANCE or others:
        raise DataError(
            f"torch and onnxruntime disagree: a score differs by {farthest:.2g} (at most {TOLERANCE:g}), and {others} "
            f"of {len(rows)} validation images are named otherwise. Nothing was exported",
            "Other versions of torch, onnx or onnxruntime may do better.",
        )
    return {"images": len(rows), "farthest_score": float(f"{farthest:.2g}")}
