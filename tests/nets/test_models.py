"""The networks: exact sizes, any input, every weight trained, and what each variant leaves out."""

import pytest
import torch
from torch import nn

from seran_lib import paths
from seran_lib.nets import create_model, describe, list_models
from seran_lib.nets.attention import AttentionModule
from seran_lib.nets.blocks import Bottleneck, SEBottleneck, SqueezeExcitation
from seran_lib.nets.description import count_parameters
from seran_lib.nets.models import DROP_RATE
from seran_lib.nets.network import StagedNetwork
from seran_lib.train.ledger import Results


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs", "activations"),
    [
        ("attention56", 31_810_728, 6.27, 18.5),
        ("attention92", 52_466_344, 10.53, 25.7),
        ("senet154", 115_088_984, 20.69, 38.7),
        ("se_resnet101", 49_326_872, 7.81, 16.3),
        ("resnet101", 44_549_160, 7.80, 16.2),
        ("resnet152", 60_192_808, 11.51, 22.6),
    ],
)
def test_published_size(name, parameters, gmacs, activations):
    cost = describe(create_model(name, 1000), 224)
    assert cost.parameters == parameters
    assert cost.gmacs == pytest.approx(gmacs, abs=0.01)
    assert cost.activations == pytest.approx(activations, abs=0.06)
    assert cost.stages["stage 4"] == (2048, 7, 7)


def test_a_description_needs_no_weights_and_leaves_a_model_alone():
    torch.manual_seed(0)
    model = create_model("seran", 7, width=1 / 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cost = describe(model, 96)
    with torch.device("meta"):
        assert describe(create_model("seran", 7, width=1 / 8), 96) == cost
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", list_models())
def test_trains_at_a_small_width_on_any_size(name):
    torch.manual_seed(0)
    model = create_model(name, 7, width=1 / 8)
    for height, width in ((64, 64), (97, 130)):
        scores = model(torch.randn(2, 3, height, width))
        assert scores.shape == (2, 7)
    scores.square().mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("name", list_models())
def test_width_scales_every_layer(name):
    cost = {width: describe(create_model(name, 123, width=width), 96) for width in (1 / 4, 1 / 8)}
    assert 3 < cost[1 / 4].gmacs / cost[1 / 8].gmacs < 4.2
    assert cost[1 / 8].stages["stage 4"] == (256, 3, 3)
    assert 2 * cost[1 / 8].stages["stem"][0] == cost[1 / 4].stages["stem"][0]


def count(model, kind):
    return sum(type(module) is kind for module in model.modules())


def test_seran_has_the_modules_of_the_paper():
    for name, se, attention in (("seran_d", 10, 4), ("seran", 4, 3)):
        model = create_model(name, 123, width=1 / 8)
        assert (count(model, SEBottleneck), count(model, AttentionModule)) == (se, attention)
        assert [type(module) for module in model.stages[3]][-2:] == [SEBottleneck, SEBottleneck]
        stem = [m for m in model.stem if isinstance(m, nn.Conv2d)]
        assert [m.kernel_size for m in stem] == [(3, 3)] * 3
        assert count(model, nn.MaxPool2d) == 1 + attention and count(model, nn.AvgPool2d) == 0


def test_ablations_change_one_thing_each():
    full, no_se, no_attention, avg = (
        create_model(name, 123, width=1 / 8)
        for name in ("seran_d", "seran_d_no_se", "seran_d_no_attention", "seran_d_avg_pool")
    )
    assert count(no_se, SEBottleneck) == 0 and count(no_se, Bottleneck) == count(full, Bottleneck) + 10
    assert count(no_attention, AttentionModule) == 0 and count(no_attention, SEBottleneck) == 10
    assert count(avg, nn.MaxPool2d) == 0 and count(avg, nn.AvgPool2d) == count(full, nn.MaxPool2d)
    assert count_parameters(avg) == count_parameters(full)
    gates = sum(count_parameters(m) for m in full.modules() if isinstance(m, SqueezeExcitation))
    assert count_parameters(full) - count_parameters(no_se) == gates


def test_controls_and_other_layouts_are_what_they_say():
    full, plain, no_mask, no_attention = (
        create_model(name, 123, width=1 / 8)
        for name in ("seran_d", "seran_d_plain", "seran_d_no_mask", "seran_d_no_attention")
    )
    assert count(plain, SEBottleneck) == count(plain, AttentionModule) == count(no_mask, AttentionModule) == 0
    assert [len(stage) for stage in plain.stages] == [len(stage) for stage in no_attention.stages]
    masks = sum(count_parameters(m.mask) for m in full.modules() if isinstance(m, AttentionModule))
    assert count_parameters(full) - count_parameters(no_mask) == masks
    sizes = {"seran_d_plain": 35_801_147, "seran_d_no_mask": 45_245_723}
    sizes |= {"seran_d_lean": 54_091_067, "seran_d_all_used": 91_644_283}
    with torch.device("meta"):
        assert {name: count_parameters(create_model(name, 123)) for name in sizes} == sizes


@pytest.mark.parametrize("name", ["seran_d_plain", "resnet101", "senet154"])
def test_torchs_own_start_is_uniform_by_the_fan_in(name):
    torch.manual_seed(0)
    model = create_model(name, 5, width=1 / 4, init="torch")
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1000:
            deviation = (3 * module.weight[0].numel()) ** -0.5
            assert module.weight.std().item() == pytest.approx(deviation, rel=0.1)
    assert all((m.weight == 1).all() for m in model.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("name", list_models())
def test_residual_branches_start_at_zero_or_plain(name):
    """Plain: no weight of a normalisation or convolution is all zero. Zero: the last layer of each block is."""
    for init in ("plain", "zero"):
        model = create_model(name, 5, width=1 / 8, init=init)
        dead = [n for n, p in model.named_parameters() if n.endswith("weight") and (p == 0).all()]
        blocks = sum(isinstance(m, Bottleneck) or hasattr(m, "bn3") for m in model.modules())
        assert len(dead) == (blocks if init == "zero" else 0)


GOLDEN = {
    ("resnet101", "paper"): [-1.52937, -3.26773, -4.35019],
    ("resnet152", "paper"): [-0.67238, -1.32728, -1.60929],
    ("attention56", "paper"): [0.50672, -1.62638, -3.48513],
    ("attention92", "paper"): [1.78325, -1.15671, -3.92641],
    ("se_resnet101", "paper"): [-2.11535, -2.04079, -1.57565],
    ("senet154", "paper"): [-4.63205, -3.29224, -1.22607],
    ("seran", "paper"): [1.66159, -0.60943, -2.80005],
    ("seran_d", "paper"): [0.68172, -0.20435, -1.10653],
    ("seran_d", "port"): [0.68503, -0.19817, -1.09884],
    ("seran_d_avg_pool", "paper"): [0.68526, -0.19995, -1.10224],
    ("seran_d_no_se", "paper"): [2.59412, 0.71890, -1.31564],
    ("seran_d_no_attention", "paper"): [1.02425, -1.55872, -3.79226],
    ("seran_d_plain", "paper"): [2.35777, 0.99626, -0.52697],
    ("seran_d_no_mask", "paper"): [3.31832, 1.10543, -1.30153],
    ("seran_d_lean", "paper"): [-0.02857, -2.18963, -3.95199],
    ("seran_d_all_used", "paper"): [2.52862, 0.41159, -1.83228],
}


@pytest.mark.parametrize(("name", "wiring"), GOLDEN)
def test_golden_scores(name, wiring):
    """A change of a network's arithmetic shows here, whatever its parameter count."""
    image = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64)
    model = create_model(name, 3, width=1 / 8, wiring=wiring).eval()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            wave = torch.sin(torch.arange(parameter.numel()) * 0.37 + index)
            parameter.copy_(wave.reshape(parameter.shape) / max(1, parameter[0].numel()) ** 0.5)
        scores = model(image)[0]
    torch.testing.assert_close(scores, torch.tensor(GOLDEN[name, wiring]), rtol=1e-3, atol=1e-4)


def test_every_network_has_golden_scores():
    assert {name for name, _ in GOLDEN} == set(list_models())


@pytest.mark.parametrize("name", list_models())
def test_a_fifth_of_the_features_is_dropped_before_the_classifier_and_in_training_only(name):
    torch.manual_seed(0)
    model = create_model(name, 5, width=1 / 8)
    seen = []
    list(model.children())[-1].register_forward_pre_hook(lambda classifier, given: seen.append(given[0]))
    images = torch.randn(4, 3, 64, 64)
    for training in (False, True):
        for module in model.modules():
            module.training = training and not isinstance(module, nn.BatchNorm2d)
        model(images)
    whole, given = (features[seen[0] != 0] for features in seen)
    kept = given != 0
    assert 1 - kept.float().mean() == pytest.approx(DROP_RATE, abs=0.05)
    torch.testing.assert_close(given[kept], whole[kept] / (1 - DROP_RATE))


def test_the_networks_of_committed_runs_have_as_many_parameters_as_recorded():
    rows = Results(paths.results()).rows()
    networks = rows[rows["model"].isin(list_models())][["model", "width", "classes", "parameters"]].drop_duplicates()
    assert not networks.duplicated(["model", "width", "classes"]).any()
    for name, width, classes, parameters in networks.itertuples(index=False):
        with torch.device("meta" if width == 1 else "cpu"):  # whichever is the quicker
            assert count_parameters(create_model(name, classes, width=width)) == parameters, (name, width, classes)


def test_unused_weights_do_not_exist():
    """Every convolution of our networks is called in a forward pass."""
    model = create_model("seran_d", 3, width=1 / 8)
    called = set()
    for module in model.modules():
        module.register_forward_hook(lambda m, *_: called.add(m))
    model(torch.randn(2, 3, 64, 64))
    assert [m for m in model.modules() if next(m.parameters(False), None) is not None and m not in called] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "seran_e"}, "unknown model 'seran_e': choose one of resnet101"),
        ({"name": "seran", "pool": "min"}, "unknown pool 'min'"),
        ({"name": "seran", "wiring": "caffe"}, "unknown wiring 'caffe'"),
        ({"name": "seran_d_avg_pool", "pool": "min"}, "unknown pool 'min': choose one of max, avg"),
        ({"name": "seran_d_no_attention", "wiring": "caffe"}, "unknown wiring 'caffe': choose one of paper, port"),
        ({"name": "resnet101", "wiring": "caffe"}, "unknown wiring 'caffe'"),
        ({"name": "seran", "width": 0.3}, "width 0.3 makes"),
        ({"name": "seran_d", "width": 1 / 32}, "reduction of 16 leaves nothing of 8 channels"),
        ({"name": "resnet101", "pool": "avg"}, "max pooling it was published with"),
        ({"name": "seran", "init": "none"}, "unknown init 'none'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_model(**arguments)


def test_layout_grammar_is_checked():
    with pytest.raises(ValueError, match="R first"):
        StagedNetwork(("SR", "R", "R", "R"), 3)
    with pytest.raises(ValueError, match="stage 4"):
        StagedNetwork(("R", "R", "R", "RA"), 3)
