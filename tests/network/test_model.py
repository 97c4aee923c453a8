"""Expected outputs come from plain convolutions written out here, counts from the paper."""

import copy
import itertools
import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espcn.network.model import ESPCN, expanded, joined

KINDS = list(itertools.product(["replicate", "zeros"], ["tanh", "relu"]))
kinds = pytest.mark.parametrize(("padding", "activation"), KINDS)


def network(seed: int = 0, **options: Any) -> ESPCN:
    """A network with biases too, which a fresh one has at zero."""
    torch.manual_seed(seed)
    made = ESPCN(**options)
    for layer in (made.conv1, made.conv2, made.conv3):
        torch.nn.init.normal_(layer.bias, std=0.1)
    return made.eval()


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_network_has_the_papers_parameters() -> None:
    # Layers 5-3-3 with 64 and 32 features at r = 3: (25 + 1) 64 + (9 64 + 1) 32 + (9 32 + 1) 9.
    made = ESPCN(r=3)
    assert sum(parameter.numel() for parameter in made.parameters()) == 22_729
    shapes = [tuple(layer.weight.shape) for layer in (made.conv1, made.conv2, made.conv3)]
    assert shapes == [(64, 1, 5, 5), (32, 64, 3, 3), (9, 32, 3, 3)]


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("r", [2, 3, 4])
def test_output_is_r_times_as_large(r: int, channels: int, padding: str) -> None:
    made = network(r=r, channels=channels, padding=padding)
    for height, width in ((7, 11), (1, 1), (12, 5)):
        low = picture(2, channels, height, width)
        assert made(low).shape == (2, channels, r * height, r * width)
        halo = made.halo
        patch = picture(2, channels, height + 2 * halo, width + 2 * halo)
        assert made.preshuffled(patch).shape == (2, channels * r * r, height, width)


@kinds
@pytest.mark.parametrize("channels", [1, 3])
def test_folded_network_is_three_plain_convolutions(
    channels: int, padding: str, activation: str
) -> None:
    folded = network(r=3, channels=channels, padding=padding, activation=activation).folded()
    assert (folded.center, folded.gain) == (0, 1)
    act = {"tanh": torch.tanh, "relu": F.relu}[activation]
    x = picture(2, channels, 9, 13)
    if padding == "replicate":
        x, pads = F.pad(x, (4, 4, 4, 4), mode="replicate"), (0, 0, 0)
    else:
        pads = (2, 1, 1)
    first, second, third = folded.conv1, folded.conv2, folded.conv3
    hidden = act(F.conv2d(x, first.weight, first.bias, padding=pads[0]))
    hidden = act(F.conv2d(hidden, second.weight, second.bias, padding=pads[1]))
    expected = F.conv2d(hidden, third.weight, third.bias, padding=pads[2])
    got = folded(picture(2, channels, 9, 13))
    torch.testing.assert_close(got, F.pixel_shuffle(expected, 3), rtol=0, atol=1e-6)


@kinds
@pytest.mark.parametrize("r", [2, 3])
def test_folding_changes_nothing_but_the_weights(r: int, padding: str, activation: str) -> None:
    made = network(r=r, channels=3, padding=padding, activation=activation, center=0.4, gain=6.0)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    low = picture(1, 3, 10, 9)
    folded = made.folded()
    torch.testing.assert_close(folded(low), made(low), rtol=0, atol=1e-5)
    kept = ("r", "channels", "padding", "activation")
    assert [getattr(folded, name) for name in kept] == [getattr(made, name) for name in kept]
    assert not torch.equal(folded.conv1.weight, made.conv1.weight)
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())
    torch.testing.assert_close(folded.folded()(low), folded(low), rtol=0, atol=1e-6)


def test_folded_network_keeps_its_precision_unless_another_is_asked_for() -> None:
    assert network().folded().conv1.weight.dtype == torch.float32
    assert network().double().folded().conv1.weight.dtype == torch.float64
    assert network().folded(dtype=torch.float64).conv1.weight.dtype == torch.float64


def test_folding_rounds_but_once() -> None:
    made = network(center=0.41, gain=6.7)
    exact, got = copy.deepcopy(made).double().folded(0.3, 2.3), made.folded(0.3, 2.3)
    for name, value in exact.state_dict().items():
        assert torch.equal(got.state_dict()[name], value.float())


@pytest.mark.parametrize("center", [0.0, 0.45])
def test_center_and_gain_shift_input_and_output_alike(center: float) -> None:
    # By the formula: f(x) = g(gain (x - center)) / gain + center, g the network with 0 and 1.
    options = {"center": center, "gain": 3.0}
    made, plain = network(**options), network(center=0.0, gain=1.0)
    low = picture(1, 1, 8, 8)
    expected = plain((low - center) * 3.0) / 3.0 + center
    torch.testing.assert_close(made(low), expected, rtol=0, atol=1e-6)


def test_patch_with_its_halo_gives_what_the_whole_picture_gives() -> None:
    made = network(r=2, padding="replicate")
    assert made.halo == 4  # (5 - 1) / 2 + (3 - 1) / 2 + (3 - 1) / 2
    low = picture(1, 1, 24, 26)
    whole = F.pixel_unshuffle(made(low), 2)
    patch = low[..., 7 - 4 : 15 + 4, 6 - 4 : 17 + 4]
    torch.testing.assert_close(made.preshuffled(patch), whole[..., 7:15, 6:17], rtol=0, atol=1e-6)


def test_whole_picture_gives_the_shuffled_output_of_its_replicated_halo() -> None:
    made = network(r=3, padding="replicate")
    low = picture(1, 1, 6, 7)
    padded = F.pad(low, (4, 4, 4, 4), mode="replicate")
    assert torch.equal(made(low), F.pixel_shuffle(made.preshuffled(padded), 3))


def test_zero_padding_wants_no_halo() -> None:
    made = network(r=3, padding="zeros")
    assert made.halo == 0
    low = picture(1, 1, 6, 7)
    assert torch.equal(made(low), F.pixel_shuffle(made.preshuffled(low), 3))


def test_zero_padding_reaches_4_pixels_into_the_picture() -> None:
    zeros, replicate = network(padding="zeros"), network(padding="replicate")
    low = picture(1, 1, 20, 20)
    differ = (F.pixel_unshuffle(zeros(low) - replicate(low), 3).abs() > 1e-6).any(1)[0]
    assert not differ[4:-4, 4:-4].any()
    assert differ[3, 4:-4].all()


def test_fresh_network_has_no_bias_and_xaviers_spread() -> None:
    torch.manual_seed(0)
    made = ESPCN(r=3)
    for layer in (made.conv1, made.conv2, made.conv3):
        out, into, height, width = layer.weight.shape
        limit = math.sqrt(6 / ((into + out) * height * width))  # Glorot and Bengio 2010, Eq. 16
        assert not layer.bias.any()
        assert 0.98 * limit < layer.weight.abs().max() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)


def test_settings_build_the_same_network_again() -> None:
    defaults = {"r": 3, "channels": 1, "activation": "tanh", "padding": "replicate"}
    assert ESPCN().settings == defaults | {"center": 0.45, "gain": 5.0}
    others = {"r": 2, "channels": 3, "activation": "relu", "padding": "zeros"}
    others |= {"center": -1, "gain": 0.5}
    assert ESPCN(**ESPCN(**others).settings).settings == others


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({"r": r}, f"`r` (={r!r}) must be a whole number of at least 2: take 2, 3 or 4")
            for r in (1, 0, -2, 3.0, "3", True)
        ),
        *(
            ({"channels": channels}, f"`channels` (={channels!r}) must be 1 (luma) or 3 (RGB)")
            for channels in (0, 2, 4, "1", True)
        ),
        (
            {"activation": "gelu"},
            "`activation` (=gelu) must be one of tanh, relu: did you mean relu?",
        ),
        ({"padding": "same"}, "`padding` (=same) must be one of replicate, zeros"),
        *(
            (
                {"gain": gain},
                f"`gain` (={gain}) must be a number above 0: 1 leaves the picture as it is",
            )
            for gain in (0, 0.0, -5.0, math.inf, math.nan, True)
        ),
        ({"center": math.nan}, "`center` (=nan) must be a number: 0 leaves the picture as it is"),
    ],
)
def test_setting_that_makes_no_network_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ESPCN(**options)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("expansion", [1, 2, 3])
def test_expanded_network_is_the_same_function_of_more_weights(expansion: int, last: bool) -> None:
    torch.manual_seed(0)
    plain = ESPCN(2).double()
    if last:
        plain = plain.to(memory_format=torch.channels_last)
    network = expanded(copy.deepcopy(plain), expansion)
    picture = torch.rand(2, 1, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(network(picture), plain(picture), rtol=0, atol=1e-12)
    counts = [sum(p.numel() for p in one.parameters()) for one in (plain, network)]
    assert (counts[1] > counts[0]) == (expansion > 1)
    if expansion > 1:
        assert_spare_weights_are_small(network, plain)
    layout = torch.channels_last if last else torch.contiguous_format
    for layer, same in zip(layers(network), layers(plain), strict=True):
        assert layer.weight.is_contiguous(memory_format=layout)
        # Of one input channel, too, whose strides say which order its convolution takes.
        assert layer.weight.stride() == same.weight.stride()
    network(picture).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def layers(network: ESPCN) -> tuple[nn.Conv2d, ...]:
    return network.conv1, network.conv2, network.conv3


def test_product_of_matrices_is_not_rounded_to_bfloat16() -> None:
    torch.manual_seed(0)
    network = expanded(ESPCN(3), 2)
    exact = network.conv2.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network.conv2.weight, exact)


def assert_spare_weights_are_small(network: ESPCN, plain: ESPCN) -> None:
    """Check that the first matrix has all directions, and little in those that cancel out."""
    parts = network.conv2.parametrizations.weight
    first, second = parts.original0, parts.original1
    assert torch.linalg.matrix_rank(first) == len(first)
    spare = first - second.mT @ second @ first
    share = (spare.std() / plain.conv2.weight.std()).item()
    assert share == pytest.approx(0.01 * (1 - len(second) / len(first)) ** 0.5, rel=0.05)


def test_joined_weights_are_those_of_a_plain_network() -> None:
    torch.manual_seed(0)
    network = expanded(ESPCN(3), 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    plain = ESPCN(3)
    plain.load_state_dict(joined(network.state_dict(), plain))
    picture = torch.rand(1, 1, 9, 8)
    torch.testing.assert_close(plain(picture), network(picture), rtol=0, atol=1e-5)
    assert joined(plain.state_dict(), plain).keys() == plain.state_dict().keys()
    assert joined({}, plain) == {}  # what is missing is for `load_state_dict` to tell


def test_expansion_is_at_most_eight() -> None:
    network = expanded(ESPCN(2), 8)
    assert network.conv1.parametrizations.weight.original1.shape == (64, 8 * 64)


@pytest.mark.parametrize("expansion", [0, 9, 1.5, True])
def test_expansion_out_of_range_is_refused(expansion: object) -> None:
    with pytest.raises(ValueError, match=r"`expansion` \(="):
        expanded(ESPCN(2), expansion)  # type: ignore[arg-type]
