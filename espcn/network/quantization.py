"""A network in 8 bits, for int8 kernels.

Rounding each weight to the nearest of 255 values costs more than 1 dB, because natural pictures are
smooth and the errors of a filter add up. Four measures reduce this to about 0.03 dB without any
training. Each layer's weights are refitted to the outputs of the rounded layers before it. They are
then rounded one after another (`round_in_turn`). Each hidden channel has its own range, which the
next layer's weights absorb. And the first layer sees the picture four times, since int8 kernels
take four inputs at a time: the sum of four weights has two more bits.
"""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espcn.imaging.color import to_channels
from espcn.network.model import ACTIVATIONS, ESPCN
from espcn.network.rounding import STRIDE, round_in_turn

COPIES = 4  # of the picture
STEPS = 128  # of a hidden channel, from zero to the end of its range
MOST = 127  # steps of a weight, as many below zero as above
PAIR = 128  # steps of two weights of the same sign, which AVX2 sums up in 16 bits
# The steps that are tried, as fractions of the just sufficient one: finer ones cut off weights.
PARTS = (1.1, 1.0, 0.9, 0.8, 0.7)
BEYOND = 1e-4  # of the hidden values lie beyond a channel's range
RARELY = 4  # a channel's range is at least a quarter of the mean one
TINY = 1e-6  # the least range, and the least trust, where nothing at all is seen
TRUST = 1e-3  # of the mean square of the inputs: how far weights may move to fit what is seen
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")  # of scikit-image's package
SIZE, EACH = 64, 8  # of the excerpts of each
CONTRAST = 1.25  # of half of them: drawings ask for wider ranges than photographs


class Quantized(NamedTuple):
    """A network with integer weights, to be run with quantised hidden values.

    Attributes:
        weights: Integers for each layer, `(filters, inputs, height, width)`, of at most 127 in
            magnitude; in the first layer 256, the sum of four. The hidden channels are reordered.
        steps: The step of each filter, `(filters,)`, for each layer: in grey levels for the last
            layer, and per grey level for the first.
        biases: `(filters,)` for each layer; in grey levels for the last layer.
        ranges: For the two hidden layers, the divisor of each channel's values, `(channels,)`,
            before they are rounded to multiples of 1/128 from -1 to 127/128.
    """

    weights: list[Tensor]
    steps: list[Tensor]
    biases: list[Tensor]
    ranges: list[Tensor]


@torch.no_grad()
def quantize(network: ESPCN) -> Quantized:
    """Return a network in 8 bits.

    Args:
        network: A network that maps grey levels around 0 (`gain` 255). Its input must be rounded to
            whole grey levels.

    Returns:
        The quantised weights; the result is deterministic.

    Raises:
        ValueError: Its features are not finite.
    """
    made = Quantized([], [], [], [])
    act = ACTIVATIONS[network.activation]
    network = copy.deepcopy(network).float()  # enough for all but what is summed up and solved
    exact = rounded = _photographs(network.channels) - 255 * network.center
    layers = (network.conv1, network.conv2, network.conv3)
    for number, layer in enumerate(layers):
        exact = F.conv2d(exact, layer.weight, layer.bias)
        whole, steps, bias = _fitted(layer, exact, rounded, is_first=number == 0)
        made.weights.append(whole)
        made.steps.append(steps)
        made.biases.append(bias)
        if layer is layers[-1]:
            break
        rounded = F.conv2d(rounded, (whole * steps[:, None, None, None]).float(), bias.float())
        exact, rounded = act(exact), act(rounded)
        if not exact.isfinite().all():
            raise ValueError("`precision` (=int8) must be float32 with weights that are not finite")
        values = exact.abs().transpose(0, 1).flatten(1)
        limit = values.topk(int(BEYOND * values.shape[1])).values[:, -1]
        # A relu may seldom, or never, let anything through.
        limit = torch.maximum(limit, limit.mean() / RARELY).clamp_min(TINY)
        made.ranges.append(limit)
        exact, rounded = (flow / limit[:, None, None] for flow in (exact, rounded))
        rounded = (rounded * STEPS).round().clamp(-STEPS, STEPS - 1) / STEPS
        after = layers[number + 1].weight
        after.mul_(limit[:, None, None])
        order = _order(after)
        after.copy_(after[:, order])
        exact, rounded = exact[:, order], rounded[:, order]
        for part in made:
            part[-1] = part[-1][order]
    return made


def _order(weights: Tensor) -> Tensor:
    """Return an order of the input channels that pairs large weights with small ones.

    The sum of each pair is then smaller, and the steps can be finer.
    """
    sizes = weights.abs().amax((2, 3)).mean(0)
    small, large = sizes.argsort().chunk(2)
    return torch.stack([large.flip(0), small], 1).flatten()


def _fitted(
    layer: nn.Conv2d, wanted: Tensor, rounded: Tensor, is_first: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the integer weights, the steps and the bias that map `rounded` to `wanted`.

    `wanted` is the layer's exact output, before the activation; `rounded` its rounded input.
    """
    patches = F.unfold(rounded, layer.kernel_size, stride=STRIDE)
    # In float64, or the number of threads would decide on which side of a step a weight falls.
    seen = patches.transpose(1, 2).flatten(0, 1).double()
    target = wanted[..., ::STRIDE, ::STRIDE].transpose(0, 1).flatten(1).double()
    weights, mean, middle = layer.weight.flatten(1).double(), seen.mean(0), target.mean(1)
    one = torch.eye(len(mean), dtype=torch.float64)
    together = seen.T @ seen / len(seen) + TINY * one
    trust = TRUST * together.diagonal().mean()
    across = target @ seen / len(seen) - middle.outer(mean) + trust * weights
    spread = together - mean.outer(mean) + trust * one
    fitted = torch.linalg.solve(spread, across.T).T.contiguous()
    # Each filter is tried with several steps, as if it were several filters.
    many = fitted.repeat(len(PARTS), 1)
    rounder = _Rounder(many.numpy(), math.prod(layer.kernel_size), is_first)
    kept = round_in_turn(many, together, rounder)
    error = many - kept
    best = ((error @ together) * error).sum(1).view(len(PARTS), -1).argmin(0)
    chosen = best * len(fitted) + torch.arange(len(fitted))
    kept, steps = kept[chosen], torch.from_numpy(rounder.steps)[chosen]
    whole = (kept / steps[:, None]).round().view_as(layer.weight)
    return whole, steps, middle - kept @ mean


class _Rounder:
    """Rounds weights, input by input, to integers that int8 kernels can sum without overflow.

    Args:
        weights: `(parts * filters, inputs)`, approximate values.
        taps: The number of kernel positions; inputs are ordered by channel.
        is_first: Whether it is the first layer, which sees the picture four times.

    Attributes:
        steps: The step of each filter, `(parts * filters,)`.
    """

    def __init__(self, weights: np.ndarray, taps: int, is_first: bool) -> None:
        self._taps, self._is_first = taps, is_first
        self._whole: list[np.ndarray] = []
        largest = np.abs(weights).max(1)
        if is_first:
            just = largest / (COPIES * PAIR / 2)
        else:
            each = weights.reshape(len(weights), -1, taps)
            pairs = [one.clip(0)[:, ::2] + one.clip(0)[:, 1::2] for one in (each, -each)]
            just = np.maximum(largest / MOST, np.max(pairs, axis=(0, 2, 3)) / PAIR)
        self.steps = np.where(just > 0, just, 1) * np.repeat(PARTS, len(weights) // len(PARTS))

    def __call__(self, number: int, weights: np.ndarray) -> np.ndarray:
        whole = np.round(weights / self.steps)
        if self._is_first:
            whole = whole.clip(-COPIES * PAIR / 2, COPIES * PAIR / 2)
        else:
            whole = whole.clip(-MOST, MOST)
            if number // self._taps % 2:  # what the channel before it leaves of the pair
                partner = self._whole[number - self._taps]
                whole = whole.clip(-PAIR - partner.clip(max=0), PAIR - partner.clip(0))
        self._whole.append(whole)
        return whole * self.steps


def _photographs(channels: int) -> Tensor:
    """Return crops from photographs, downsampled by 2, in whole grey levels."""
    import skimage.data  # takes a while

    draw = np.random.default_rng(0)
    excerpts = []
    for name in PHOTOGRAPHS:
        planes = to_channels(getattr(skimage.data, name)(), channels).float()
        planes = F.avg_pool2d(planes, 2).round()
        for _ in range(EACH):
            top, left = (int(draw.integers(side - SIZE)) for side in planes.shape[-2:])
            excerpts.append(planes[:, top : top + SIZE, left : left + SIZE])
    together = torch.stack(excerpts)
    harder = (CONTRAST * (together[::2] - 128) + 128).round().clamp(0, 255)
    return torch.cat([together[1::2], harder])
