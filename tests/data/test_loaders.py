"""Loaders: every image once an epoch, the same batch wherever it is made, and a plain view for evaluation."""

from collections import Counter

import numpy as np
import pytest
import torch

from seran_lib.data.loaders import Batches, PackedLoader, make_loaders

CPU = torch.device("cpu")


class Pictures:
    """Stands in for a packed cache: image k is a square of grey level k."""

    side = 36

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def fetch(self, indices, position):
        grey = np.asarray(indices, np.uint8)[:, None, None, None]
        return np.broadcast_to(grey, (len(indices), self.side, self.side, 3)).copy()


def loader(training=True, batch=8, count=45, **options):
    rows = np.arange(count)
    return PackedLoader(Pictures(count), rows, rows % 5, Batches(32, batch, 3, CPU, **options), training=training)


def test_training_shows_each_image_at_most_once_and_leaves_out_the_rest_of_a_batch():
    targets = torch.cat([targets for _, targets in loader()])
    assert len(targets) == 40 and targets.bincount().max() <= 9
    order = loader().get_idxs()
    assert len(set(order)) == len(order) == 40 and set(order) < set(range(45))


def passes(**options):
    """The class numbers and pictures of each batch that one process is given."""
    return [(targets.tolist(), images) for images, targets in loader(**options)]


def test_micro_batches_and_parts_of_processes_are_the_batch():
    whole = passes()
    micro = passes(micro_batches=2)
    assert len(micro) == 2 * len(whole)
    ranks = [passes(rank=rank, world_size=2) for rank in range(2)]
    for step, (targets, images) in enumerate(whole):
        assert micro[2 * step][0] + micro[2 * step + 1][0] == targets
        assert ranks[0][step][0] + ranks[1][step][0] == targets
        torch.testing.assert_close(torch.cat([rank[step][1] for rank in ranks]), images)


def test_a_pass_can_begin_in_the_middle():
    whole, rest = passes(micro_batches=2), loader(micro_batches=2)
    rest.first_step = 3
    assert [targets.tolist() for _, targets in rest] == [targets for targets, _ in whole[6:]]
    assert len(rest) == len(whole)


@pytest.mark.parametrize(("processes", "micro"), [(3, 1), (2, 8)])
def test_a_batch_that_does_not_divide_is_refused(processes, micro):
    message = f"a batch of 8 does not divide among {processes} processes with {micro} micro-batches each"
    with pytest.raises(ValueError, match=message):
        loader(rank=1, world_size=processes, micro_batches=micro)


def test_order_changes_with_the_epoch_and_comes_back():
    one, orders = loader(), []
    for one.epoch in (0, 1, 0):
        orders.append(one.get_idxs())
    assert orders[1] != orders[0] == orders[2]


def test_an_image_is_augmented_alike_in_any_batch():
    seen = {}
    for batch in (5, 9):
        one = loader(batch=batch)
        seen[batch] = dict(zip(one.get_idxs(), torch.cat([images for images, _ in one]), strict=False))
    for index in seen[5].keys() & seen[9].keys():
        torch.testing.assert_close(seen[5][index], seen[9][index])


def test_evaluation_keeps_order_and_shows_every_image():
    first, again = (map(torch.cat, zip(*loader(training=False), strict=True)) for _ in range(2))
    (images, targets), (same, _) = first, again
    assert targets.tolist() == [k % 5 for k in range(45)] and images.shape == (45, 3, 32, 32)
    torch.testing.assert_close(images, same)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="5 images do not fill one batch of 8"):
        loader(count=5)


@pytest.mark.parametrize(("few", "times"), [(40, 1), (20, 2), (9, 4), (2, 20)])
def test_few_images_are_repeated_until_an_epoch_is_as_long_as_with_all(few, times):
    parts = np.array(["train"] * few + ["unused"] * (40 - few) + ["valid"] * 3 + ["test"] * 2)
    training, valid, test = make_loaders(Pictures(45), np.arange(45), parts, Batches(32, 4, 0, CPU))
    assert Counter(training.rows.tolist()) == dict.fromkeys(range(few), times)
    assert training.targets.tolist() == training.rows.tolist() and training.steps == few * times // 4
    assert (valid.n, test.n) == (3, 2)


def test_parts_do_not_overlap():
    parts = np.array(["train"] * 30 + ["valid"] * 8 + ["test"] * 7)
    loaders = make_loaders(Pictures(45), np.arange(45), parts, Batches(32, 8, 0, CPU))
    train, valid, test = (set(torch.cat([targets for _, targets in part]).tolist()) for part in loaders)
    assert valid == set(range(30, 38)) and test == set(range(38, 45)) and train <= set(range(30))
