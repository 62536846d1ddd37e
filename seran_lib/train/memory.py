"""A training step made to fit the memory of its device, with the effective batch kept.

First blocks compute their activations again in the backward pass: slower, but the same numbers. Only then is the batch
cut into micro-batches whose gradients are added up: the same gradients, except that batch normalisation sees a
micro-batch at a time.
"""

from dataclasses import dataclass

import torch
from accelerate.utils.memory import should_reduce_batch_size

FEWEST = 2  # images that batch normalisation can normalise over at the end of a network


@dataclass(frozen=True)
class Fit:
    """Into how many micro-batches a process cuts its part of a batch, and whether blocks recompute activations."""

    micro_batches: int = 1
    recompute: bool = False

    def smaller(self, images: int) -> "Fit":
        """The next way to need less memory for so many images a process. Raises MemoryError where none is left."""
        if not self.recompute:
            return Fit(self.micro_batches, recompute=True)
        micro_batches = 2 * self.micro_batches
        if images % micro_batches or images // micro_batches < FEWEST:
            raise MemoryError(
                f"not even {self.words(images)}, fit the memory of this device: close what else uses it, or choose a "
                "profile with a smaller width or image size"
            )
        return Fit(micro_batches, recompute=True)

    def words(self, images: int) -> str:
        """For the user, given so many images a process."""
        return f"{images // self.micro_batches} images at a time" + (
            ", activations recomputed" if self.recompute else ""
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that the memory of a GPU, or of the machine, is used up."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
