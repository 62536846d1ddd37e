"""The attention module follows the authors' network, and the common port is shown to be another one."""

import pytest
import torch
from torch import nn

from seran_lib.nets.attention import AttentionModule
from seran_lib.nets.blocks import SEBottleneck, SqueezeExcitation


def silence_the_way_up(module):
    """Make the enlarged feature that reaches the mask head zero: what is left can only come from elsewhere."""
    for unit in module.mask.up[-1:] if len(module.mask.up) else [module.mask.bottom]:
        nn.init.zeros_(unit[-1].conv3.weight)
        unit[-1].forward = lambda x: torch.zeros_like(x)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("wiring", ["paper", "port"])
def test_only_the_port_leaks_the_trunk_into_the_mask(depth, wiring):
    torch.manual_seed(1)
    module = AttentionModule(16, depth, wiring=wiring).eval()
    silence_the_way_up(module)
    seen = {}
    module.mask.head.register_forward_pre_hook(lambda m, inputs: seen.update(head=inputs[0].clone()))
    module.trunk.register_forward_hook(lambda m, inputs, output: seen.update(trunk=output.clone()))
    with torch.no_grad():
        module(torch.randn(2, 16, 16, 16))
    if wiring == "paper":
        assert seen["head"].abs().max() == 0
    else:
        torch.testing.assert_close(seen["head"], seen["trunk"])
        assert seen["trunk"].abs().max() > 0


def test_port_counts_the_down_feature_twice():
    torch.manual_seed(2)
    module = AttentionModule(16, 2, wiring="port").eval()
    mask, seen = module.mask, {}
    mask.down[0].register_forward_hook(lambda m, i, output: seen.update(down=output))
    mask.lateral[0].register_forward_hook(lambda m, i, output: seen.update(lateral=output))
    mask.up[0].register_forward_pre_hook(lambda m, inputs: seen.update(up=inputs[0]))
    mask.bottom.forward = lambda x: torch.zeros_like(x)
    with torch.no_grad():
        module(torch.randn(1, 16, 8, 8))
    torch.testing.assert_close(seen["up"], seen["down"] + seen["lateral"])
    mask.adds_reference = False
    with torch.no_grad():
        module(torch.randn(1, 16, 8, 8))
    torch.testing.assert_close(seen["up"], seen["lateral"])


def test_wirings_have_equal_weights_and_different_outputs():
    torch.manual_seed(3)
    paper, port = AttentionModule(16, 3), AttentionModule(16, 3, wiring="port")
    port.load_state_dict(paper.state_dict())
    x = torch.randn(1, 16, 16, 16)
    assert (paper.eval()(x) - port.eval()(x)).abs().max() > 1e-2


@pytest.mark.parametrize(("bias", "factor"), [(-1e4, 1), (1e4, 2)])
def test_closed_mask_passes_the_trunk_and_open_mask_doubles_it(bias, factor):
    module = AttentionModule(8, 1).eval()
    module.mask.head.append(nn.Hardtanh(bias, bias + 1))
    seen = {}
    module.trunk.register_forward_hook(lambda m, i, output: seen.update(trunk=output))
    module.after.register_forward_pre_hook(lambda m, inputs: seen.update(out=inputs[0].clone()))
    with torch.no_grad():
        module(torch.randn(1, 8, 8, 8))
    torch.testing.assert_close(seen["out"], factor * seen["trunk"])


def test_squeeze_excitation_equals_timm():
    from timm.layers import SEModule

    ours, theirs = SqueezeExcitation(64), SEModule(64, rd_channels=4)
    theirs.fc1.load_state_dict(ours.squeeze.state_dict())
    theirs.fc2.load_state_dict(ours.excite.state_dict())
    x = torch.randn(2, 64, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_gate_at_one_makes_an_se_unit_a_plain_unit():
    torch.manual_seed(4)
    unit = SEBottleneck(32, 32).eval()
    nn.init.zeros_(unit.se.excite.weight)
    nn.init.constant_(unit.se.excite.bias, 1e4)
    x = torch.randn(1, 32, 6, 6)
    gated = unit(x)
    unit.se.forward = lambda x, identity: identity + x
    torch.testing.assert_close(gated, unit(x))
