"""Where a training runs, what the ledger calls that, and the precision that is quick there."""

import os
import platform
from contextlib import AbstractContextManager

import torch

from seran_lib.train.settings import PRECISIONS


def pick_device() -> torch.device:
    """The CUDA GPU of this process (the first, where torchrun named no other), or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def device_name(device: torch.device) -> str:
    """The device in words for the ledger: the GPU's name, or CPU threads and vectors; of all processes together.

    The vectors decide which precision is quick (`precision`), and how quick.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    several = f"{processes} x " if processes > 1 else ""
    if device.type == "cuda":
        return several + torch.cuda.get_device_name(device)
    vectors = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    return f"{several}CPU, {torch.get_num_threads()} threads of {os.cpu_count()}, {vectors}"


def precision(device: torch.device, fixed: str = "") -> str:
    """The precision of a run, as the ledger calls it: the one that is `fixed` (a key of `PRECISIONS`) or else the
    quickest of the device. Raises ValueError for bfloat16 on a device that only emulates it, many times slower."""
    quickest = _quickest(device)
    if fixed == "bfloat16" and quickest != "bf16":
        raise ValueError(
            f"precision bfloat16 is only emulated here ({device_name(device)}): run this on a CPU with AVX-512 or a "
            "GPU since Ampere, or with precision float32"
        )
    return PRECISIONS.get(fixed, quickest)


def _quickest(device: torch.device) -> str:
    """bfloat16; float16 on a GPU older than Ampere (a T4, a P100); float32 on a CPU without wide vectors, where PyTorch
    has bfloat16 only emulated (`benchmarks/precision.py`)."""
    if device.type == "cpu":
        return "bf16" if torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "SVE")) else "fp32"
    old_gpu = device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
    return "fp16" if old_gpu else "bf16"


def autocast(device: torch.device, fixed: str = "") -> AbstractContextManager:
    """Convolutions and matrix products in the run's `precision`, everything delicate in float32."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision(device, fixed))
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
