"""Every model of the paper profile at full width, 224 px and 123 classes: one optimiser step and an evaluation."""

import pytest
import torch
from torch import nn

from seran_lib.lab.evaluate import autocast
from seran_lib.nets import create_model, list_models

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", list_models())
def test_a_step_at_full_size(name):
    torch.manual_seed(0)
    model = create_model(name)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    with autocast(CPU):
        scores = model(torch.randn(1, 3, 224, 224))
    assert scores.shape == (1, 123)
    loss = nn.functional.cross_entropy(scores.float(), torch.tensor([122]))
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    assert [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])] == []
    with torch.inference_mode(), autocast(CPU):
        assert model.eval()(torch.randn(1, 3, 224, 224)).isfinite().all()
