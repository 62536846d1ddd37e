"""`seran train`: one training run without a notebook."""

import argparse

import torch

from seran_lib import sources
from seran_lib.train import cost
from seran_lib.train.dataset import open_dataset
from seran_lib.train.distributed import rank, say
from seran_lib.train.run import run
from seran_lib.train.settings import CHOICES, Settings, choose, resolve


def chosen(options: argparse.Namespace) -> Settings:
    """The settings that the words of a command mean. Raises ValueError for an unknown name or a value out of range."""
    words = {name: getattr(options, name) for name in ("profile", *CHOICES)}
    choose(**words | {"data": "."})  # a wrong word stops here, before anything is drawn
    return resolve(**words | {"data": sources.folder(options.data, options.profile)})


def train(options: argparse.Namespace) -> int:
    """Do one training run, or what is left of it, and add it to the ledger; torchrun shares it among GPUs."""
    settings = chosen(options)
    dataset = open_dataset(settings, progress=rank() == 0)
    say(cost.settings_table(settings, dataset.epoch).to_string(header=False, index_names=False))
    row = run(settings, dataset)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    say(f"{row['run_id']}: test error {row['test_top1_error']:.2f} %, top-5 {row['test_top5_error']:.2f} %")
    return 0
