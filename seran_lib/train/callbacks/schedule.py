"""Steps that know their number: a learner that begins within an epoch, seeds and the one-cycle schedule by step."""

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner

from seran_lib.train.distributed import rank, world_size


class ResumableLearner(Learner):
    """A learner whose training loader may begin in the middle of an epoch; the steps keep their numbers."""

    def all_batches(self) -> None:
        self.n_iter = len(self.dl)
        begin = self.dl.first_step * self.dl.micro_batches if self.training else 0
        for numbered in enumerate(self.dl, start=begin):
            self.one_batch(*numbered)


class StepSeed(Callback):
    """Make a step depend on (seed, epoch, step) alone, so that no state of a random generator has to be kept.

    Order and augmentation of the images come from the loader, dropout from torch's generator, which is seeded here.
    """

    order = -9  # right after fastai has set training or evaluation

    def __init__(self, seed: int, epochs_done: int, steps_done: int):
        self.seed, self.epochs_done, self.steps_done = seed, epochs_done, steps_done

    def before_epoch(self) -> None:
        loader = self.dls.train
        loader.epoch = self.epoch
        loader.first_step = self.steps_done if self.epoch == self.epochs_done else 0

    def before_batch(self) -> None:
        if self.training:
            # Two processes draw what one does that cuts its batch into two micro-batches.
            source = np.random.SeedSequence((self.seed, self.epoch, self.iter * world_size() + rank()))
            torch.manual_seed(int(source.generate_state(1, np.uint64)[0]))


class StepSchedule(ParamScheduler):
    """fastai's schedule by whole optimiser steps, the same however many micro-batches a step has."""

    def before_batch(self) -> None:
        loader = self.dls.train
        self._update_val(
            (self.epoch * loader.steps + self.iter // loader.micro_batches) / (self.n_epoch * loader.steps)
        )
