"""What a finished run left on this machine: its weights, and the network that they make."""

import torch
from safetensors.torch import load_file
from torch import nn

from seran_lib.errors import DataError
from seran_lib.files import file_sha256
from seran_lib.train.dataset import Dataset
from seran_lib.train.learner import build_model
from seran_lib.train.run import WEIGHTS
from seran_lib.train.settings import Settings
from seran_lib.train.transfer import LinearProbe


def stored_weights(settings: Settings) -> str:
    """SHA-256 (hex) of the run's weights on this machine, empty where there are none. It is not the one in the ledger
    where they are of a repetition."""
    path = settings.folder / WEIGHTS
    return file_sha256(path) if path.is_file() else ""


def trained_network(settings: Settings, dataset: Dataset, device: torch.device) -> nn.Module:
    """The network of a finished run in evaluation mode. Raises DataError where its weights are not on this machine."""
    path = settings.folder / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"the weights of {settings.run_id} are not on this machine: weights are not kept in the repository",
            "Train the run again; results/README.md has its command.",
        )
    weights = load_file(path, device=str(device))
    model = build_model(settings, len(dataset.classes), device)
    if settings.recipe == "frozen":
        model.classifier = LinearProbe(*(weights[f"classifier.{name}"] for name in ("weight", "bias", "mean", "scale")))
    model.load_state_dict(weights)
    return model.eval()
