"""Loaders: every image once an epoch, the same batch wherever it is made, and a plain view for evaluation."""

from collections import Counter

import numpy as np
import pytest
import torch

from seran_lib.data.loaders import PackedLoader, make_loaders

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
    return PackedLoader(
        Pictures(count), rows, rows % 5, size=32, batch=batch, training=training, seed=3, device=CPU, **options
    )


def test_training_shows_each_image_at_most_once_and_leaves_out_the_rest_of_a_batch():
    targets = torch.cat([targets for _, targets in loader()])
    assert len(targets) == 40 and targets.bincount().max() <= 9
    order = loader().get_idxs()
    assert len(set(order)) == len(order) == 40 and set(order) < set(range(45))


def passes(**options):
    """The class numbers and pictures of each batch that one process is given."""
    return [(targets.tolist(), images) for images, targets in loader(**options)]


def test_pieces_and_shares_of_a_batch_are_the_batch():
    whole = passes()
    pieces = passes(pieces=2)
    assert len(pieces) == 2 * len(whole)
    shares = [passes(share=(number, 2)) for number in range(2)]
    for step, (targets, images) in enumerate(whole):
        assert pieces[2 * step][0] + pieces[2 * step + 1][0] == targets
        assert shares[0][step][0] + shares[1][step][0] == targets
        torch.testing.assert_close(torch.cat([share[step][1] for share in shares]), images)


def test_a_pass_can_begin_in_the_middle():
    whole, rest = passes(pieces=2), loader(pieces=2)
    rest.first_step = 3
    assert [targets.tolist() for _, targets in rest] == [targets for targets, _ in whole[6:]]
    assert len(rest) == len(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": (0, 3)}, "a batch of 8 does not divide among 3 processes in 1 pieces each"),
        ({"share": (1, 2), "pieces": 8}, "a batch of 8 does not divide among 2 processes in 8 pieces each"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        loader(**options)


def test_order_changes_with_the_epoch_and_comes_back():
    one = loader()
    first = one.get_idxs()
    one.epoch = 1
    assert one.get_idxs() != first
    one.epoch = 0
    assert one.get_idxs() == first


def test_an_image_is_augmented_alike_in_any_batch():
    seen = {}
    for batch in (5, 9):
        one = loader(batch=batch)
        order = [index for index in one.get_idxs()]
        images = torch.cat([images for images, _ in one])
        seen[batch] = dict(zip(order, images, strict=False))
    for index in seen[5].keys() & seen[9].keys():
        torch.testing.assert_close(seen[5][index], seen[9][index])


def test_evaluation_keeps_order_and_shows_every_image():
    one = loader(training=False)
    targets = torch.cat([targets for _, targets in one])
    assert targets.tolist() == [k % 5 for k in range(45)]
    again = torch.cat([images for images, _ in one])
    torch.testing.assert_close(again, torch.cat([images for images, _ in one]))
    assert again.shape == (45, 3, 32, 32)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="5 images do not fill one batch of 8"):
        loader(count=5)


@pytest.mark.parametrize(("few", "times"), [(40, 1), (20, 2), (9, 4), (2, 20)])
def test_few_images_are_repeated_until_an_epoch_is_as_long_as_with_all(few, times):
    parts = np.array(["train"] * few + ["unused"] * (40 - few) + ["valid"] * 3 + ["test"] * 2)
    training, valid, test = make_loaders(Pictures(45), np.arange(45), parts, size=32, batch=4, seed=0, device=CPU)
    assert Counter(training.rows.tolist()) == dict.fromkeys(range(few), times)
    assert training.targets.tolist() == training.rows.tolist() and training.steps == few * times // 4
    assert (valid.n, test.n) == (3, 2)


def test_parts_do_not_overlap():
    parts = np.array(["train"] * 30 + ["valid"] * 8 + ["test"] * 7)
    loaders = make_loaders(Pictures(45), np.arange(45), parts, size=32, batch=8, seed=0, device=CPU)
    seen = [set(torch.cat([targets for _, targets in part]).tolist()) for part in loaders]
    assert seen[1] == set(range(30, 38)) and seen[2] == set(range(38, 45)) and seen[0] <= set(range(30))
