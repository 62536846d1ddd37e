"""One training in several processes, one a GPU: `torchrun --nproc-per-node N -m seran_lib train ...`.

fastai's distributed trainer over accelerate averages the gradients; every process takes its part of each batch, so
the effective batch, the order of the images and the schedule are those of one process. Without torchrun there is one
process, and nothing here does anything.
"""

import torch
from fastai.data.load import DataLoader
from fastai.distributed import DistributedTrainer
from fastai.learner import Learner
from fastai.torch_core import num_distrib, rank_distrib


def rank() -> int:
    """This process's number, from 0."""
    return rank_distrib()


def world_size() -> int:
    """How many processes train together."""
    return max(1, num_distrib())


def say(words: str) -> None:
    """Print once, however many processes there are."""
    if rank() == 0:
        print(words, flush=True)


class JointTrainer(DistributedTrainer):
    """fastai's trainer with our loaders, which divide every batch by themselves; all processes validate alike.

    Batch normalisation sees the whole batch on GPUs, and the process's part of it on CPUs, where torch cannot
    synchronise it.
    """

    def _wrap_dl(self, dl: DataLoader) -> DataLoader:
        return dl


def join_processes(learner: Learner, device: torch.device) -> None:
    """Let the learner train together with those of the other processes, if there are any."""
    if world_size() > 1:
        learner.add_cb(JointTrainer(sync_bn=device.type == "cuda", cpu=device.type == "cpu"))


def wait_for_all() -> None:
    """Return when every process has come here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def mean_of_all(value: torch.Tensor) -> torch.Tensor:
    """The mean of a number that each process has."""
    if torch.distributed.is_initialized():
        value = value.clone()
        torch.distributed.all_reduce(value)
        value /= world_size()
    return value
