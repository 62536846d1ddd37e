"""Masks, gates and Grad-CAM are what the network computes, and what replaces a mask is undone afterwards."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

from seran_lib.explain import maps as explain
from seran_lib.explain.places import channel_scores, mask_maps
from seran_lib.nets import create_model
from seran_lib.nets.attention import MaskBranch
from seran_lib.nets.blocks import SqueezeExcitation


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("seran_d", 5, width=1 / 8).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_blocks_are_named_by_stage_and_order(network):
    assert list(explain.blocks(network, MaskBranch)) == ["1a", "2a", "2b", "3a"]
    assert list(explain.blocks(network, SqueezeExcitation))[-4:] == ["4a", "4b", "4c", "4d"]
    assert len(explain.blocks(network, SqueezeExcitation)) == 10
    assert explain.blocks(create_model("resnet101", 5, width=1 / 8), MaskBranch) == {}


def test_masks_are_those_the_network_multiplies_by(network, images):
    masks = explain.attention_masks(network, images)
    shapes = {"1a": (3, 32, 16, 16), "2a": (3, 64, 8, 8), "2b": (3, 64, 8, 8), "3a": (3, 128, 4, 4)}
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == shapes
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks.values())
    with torch.no_grad():
        as_it_is = network(images)
        with explain.masks_replaced(network, lambda name, mask: masks[name]):
            assert torch.equal(network(images), as_it_is)


def test_a_mask_of_0_leaves_the_trunk_and_the_network_is_itself_again_afterwards(network, images):
    module = next(m for m in network.modules() if isinstance(m, explain.MaskBranch))
    attention = next(m for m in network.modules() if getattr(m, "mask", None) is module)
    x = torch.randn(2, 32, 16, 16)
    with torch.no_grad():
        before = network(images)
        with explain.masks_replaced(network, lambda name, mask: torch.zeros_like(mask)):
            assert torch.allclose(attention(x), attention.after(attention.trunk(attention.before(x))), atol=1e-6)
            assert not torch.allclose(network(images), before)
        with pytest.raises(ZeroDivisionError), explain.masks_replaced(network, lambda name, mask: mask * 0):
            _ = 1 / 0
        assert torch.equal(network(images), before)


def test_gates_are_those_of_the_blocks(network, images):
    gates = explain.se_gates(network, images)
    assert gates["4d"].shape == (3, 256) and gates["1a"].shape == (3, 32)
    last, seen = explain.blocks(network, SqueezeExcitation)["4d"], {}
    hook = last.register_forward_hook(lambda m, x, y: seen.update(x=x[0], identity=x[1], y=y))
    with torch.no_grad():
        network(images)
    hook.remove()
    torch.testing.assert_close(seen["identity"] + gates["4d"][:, :, None, None] * seen["x"], seen["y"])


class Reader(nn.Module):
    """Two classes: red in the picture speaks for 0, blue for 1. `layer4` hands the picture on."""

    def __init__(self):
        super().__init__()
        self.layer4 = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.layer4.weight)

    def forward(self, x):
        return self.layer4(x).mean((2, 3))[:, [0, 2]]


def test_grad_cam_lights_up_what_speaks_for_the_predicted_class():
    images = torch.zeros(2, 3, 32, 32)
    images[0, 0, 2:8, 2:8] = 4  # red, upper left, and less blue elsewhere
    images[0, 2, 20:24, 20:24] = 1
    images[1, 2, 20:28, 2:10] = 4  # blue, lower left
    maps = explain.grad_cam(Reader(), images, 4)
    assert maps.shape == (2, 32, 32)
    assert maps[0, 2:8, 2:8].min() > 0.9 and maps[0, 20:24, 20:24].max() == 0
    assert maps[1, 20:28, 2:10].min() > 0.9 and maps[1, :10].max() == 0


def test_grad_cam_keeps_nothing_of_what_lies_before_its_stage_and_leaves_the_network_as_it_was(network, images):
    with GradCAM(network, [network.stages[2]]) as cam:
        expected = cam(images, targets=None)
    network.zero_grad(set_to_none=True)
    saved = []
    keep = lambda tensor: saved.append(tensor.shape) or tensor  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        np.testing.assert_array_equal(explain.grad_cam(network, images, 3), expected)
    assert saved and not any(shape[-1] > 16 for shape in saved if len(shape) == 4), "no map larger than the stage's"
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    with pytest.raises(RuntimeError):
        explain.grad_cam(network, images[:, :1], 3)
    assert all(p.requires_grad for p in network.parameters()) and not network.stages[2]._forward_hooks


def test_stage_layers_are_found_in_our_networks_and_in_timms(network, images):
    assert explain.stage_layer(network, 3) is network.stages[2]
    torch.manual_seed(0)
    rival = create_model("resnet101", 5, width=1 / 8)
    assert explain.grad_cam(rival, images, 3).shape == (3, 64, 64)


def test_most_varying_channel_and_channel_scores_of_a_mask_made_by_hand():
    """Channel 0 is the insect, channel 1 its negative at twice the contrast, channel 2 flat."""
    insect = np.zeros((1, 8, 8), dtype=bool)
    insect[0, :4, :4] = True
    half = torch.zeros(1, 3, 4, 4) + 0.5
    half[0, 0, :2, :2] += 0.2
    half[0, 1, :2, :2] -= 0.4
    maps = mask_maps({"1a": half}, 8)
    assert maps["mask 1a, channel"][0, 0, 0] < maps["mask 1a, channel"][0, 7, 7]
    assert maps["mask 1a"][0, 0, 0] < maps["mask 1a"][0, 7, 7]
    scores = channel_scores({"1a": half}, insect)
    assert scores["mask", "1a", "channels apart"] == pytest.approx(2 / 3)  # correlations 1, -1, none
    assert scores["mask", "1a", "channels toward"] == pytest.approx(1 / 3)
    assert scores["mask", "1a", "level"] == pytest.approx(0.5 - 0.2 / 4 / 3)
