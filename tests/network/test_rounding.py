"""Rounded weights: few bits each, and an output nearer than nearest values give."""

import pytest
import torch

from espcn.network.engine import CENTER
from espcn.network.model import ESPCN
from espcn.network.rounding import round_weights
from espcn.network.weights import load


def levels(network: ESPCN) -> ESPCN:
    return network.folded(CENTER / 255, 255.0, torch.float64)


def natural() -> torch.Tensor:
    import skimage.data

    grey = torch.from_numpy(skimage.data.camera().copy())[None, None].double()
    return grey[..., 100:300, 100:300] / 255


@pytest.mark.parametrize("r", [2, 3, 4])
def test_weights_are_representable(r: int) -> None:
    network = round_weights(levels(load(r)[0]), torch.bfloat16)
    for layer in (network.conv1, network.conv2, network.conv3):
        assert torch.equal(layer.weight, layer.weight.bfloat16().double())


@pytest.mark.parametrize("r", [2, 3, 4])
def test_output_is_nearer_than_with_each_weight_rounded_on_its_own(r: int) -> None:
    exact = levels(load(r)[0])
    careful, plain = round_weights(exact, torch.bfloat16), exact.folded(exact.center, exact.gain)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(parameter.bfloat16())
        wanted = exact(natural())
        errors = [float((one(natural()) - wanted).square().mean()) for one in (careful, plain)]
    assert errors[0] < errors[1] / 2


def test_rounding_draws_no_random_numbers() -> None:
    network = levels(ESPCN(3))
    state = torch.get_rng_state()
    first, second = round_weights(network, torch.bfloat16), round_weights(network, torch.bfloat16)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.conv2.weight, second.conv2.weight)
