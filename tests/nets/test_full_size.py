"""Every model of the paper profile at full width, 224 px and 123 classes: gradients of a step, and an evaluation."""

import pytest
import torch
from torch import nn

from seran_lib.nets import create_model, list_models
from seran_lib.train.device import autocast

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_learns_at_full_size(name):
    torch.manual_seed(0)
    model = create_model(name)
    with autocast(CPU):
        scores = model(torch.randn(1, 3, 224, 224))
    assert scores.shape == (1, 123)
    loss = nn.functional.cross_entropy(scores.float(), torch.tensor([122]))
    loss.backward()
    assert loss.isfinite()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    with torch.inference_mode(), autocast(CPU):
        assert model.eval()(torch.randn(1, 3, 224, 224)).isfinite().all()
