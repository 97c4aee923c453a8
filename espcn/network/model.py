"""The network: three convolutions at low resolution and a periodic shuffle.

Shi et al. 2016, section 2 and 3.2: (f1, n1) = (5, 64), (f2, n2) = (3, 32), f3 = 3, tanh, no
activation on the last layer.
"""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from espcn import checks

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
SETTINGS: dict[str, type] = {
    "r": int, "channels": int, "activation": str, "padding": str, "center": float, "gain": float
}  # fmt: skip
MAX_FACTOR = 64  # a file of a few kilobytes can claim more, and a network so large fills the memory
PADDINGS = ("replicate", "zeros")
FIRST_REACH = 2  # low-resolution pixels that the first layer looks at beyond its own
SPARE = 0.01  # of a kernel's standard deviation: what its two matrices have to spare
HALO = 4  # low-resolution pixels that an output pixel looks at beyond its own: 2 + 1 + 1


class ESPCN(nn.Module):
    """The efficient sub-pixel convolutional network.

    The first layer receives the picture, 0..1, as `gain (x - center)`, and the inverse is applied
    to the output. This changes how the network trains, not what it can express: `folded` returns
    the same function with `center` 0 and `gain` 1, as in the paper.

    Args:
        r: The upscaling factor, 2 to 64.
        channels: 1 for luma, 3 for RGB.
        activation: tanh or relu.
        padding: How pictures are extended at the border. `replicate` repeats the border pixels once
            and convolves without padding. `zeros` pads every layer with zeros, as the notebook and
            most ports do; that hurts every pixel within 4 low-resolution pixels of the border.
        center: Subtracted from the picture and added to the output.
        gain: Multiplies the picture and divides the output, above 0.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    def __init__(
        self,
        r: int = 3,
        channels: int = 1,
        activation: str = "tanh",
        padding: str = "replicate",
        center: float = 0.45,
        gain: float = 5.0,
    ) -> None:
        super().__init__()
        checks.integer("r", r, 2, "take 2, 3 or 4", most=MAX_FACTOR)
        if channels not in (1, 3) or channels is True:
            raise ValueError(f"`channels` (={channels!r}) must be 1 (luma) or 3 (RGB)")
        checks.choice("activation", activation, ACTIVATIONS)
        checks.choice("padding", padding, PADDINGS)
        checks.number("gain", gain, "1 leaves the picture as it is", above=0)
        checks.number("center", center, "0 leaves the picture as it is", least=-math.inf)
        self.r, self.channels, self.activation, self.padding = r, channels, activation, padding
        self.center, self.gain = center, gain
        self.conv1 = nn.Conv2d(channels, 64, 5)  # padded before, for that depends on `center`
        self.conv2 = nn.Conv2d(64, 32, 3, padding=self.inner)
        self.conv3 = nn.Conv2d(32, channels * r * r, 3, padding=self.inner)
        for layer in (self.conv1, self.conv2, self.conv3):
            nn.init.xavier_uniform_(layer.weight)  # suits tanh, about linear near zero
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments by name, as plain values."""
        return {name: getattr(self, name) for name in SETTINGS}

    @property
    def halo(self) -> int:
        """Low-resolution pixels of context that `preshuffled` needs on each side of a patch."""
        return HALO if self.padding == "replicate" else 0

    @property
    def inner(self) -> int:
        """Number of zeros that the second and third layer add on each side."""
        return 1 if self.padding == "zeros" else 0

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale pictures.

        Args:
            picture: `(batch, channels, height, width)`, 0..1.

        Returns:
            `(batch, channels, r height, r width)`, 0..1, not clipped.
        """
        if self.halo:
            picture = F.pad(picture, [self.halo] * 4, mode="replicate")
        return F.pixel_shuffle(self.preshuffled(picture), self.r)

    def preshuffled(self, patch: Tensor) -> Tensor:
        """Return the output before the shuffle.

        Args:
            patch: `(batch, channels, height + 2 halo, width + 2 halo)`, 0..1, with its context.

        Returns:
            `(batch, channels r^2, height, width)`, 0..1, not clipped.
        """
        act = ACTIVATIONS[self.activation]
        if not self.halo:
            # Zeros of the picture itself, not of the shifted one, as a plain port pads: so the
            # shift folds away exactly here too.
            patch = F.pad(patch, [FIRST_REACH] * 4)
        hidden = act(self.conv1((patch - self.center) * self.gain))
        return self.conv3(act(self.conv2(hidden))) / self.gain + self.center

    @torch.no_grad()
    def folded(
        self, center: float = 0.0, gain: float = 1.0, dtype: torch.dtype | None = None
    ) -> "ESPCN":
        """Return the same function with another `center` and `gain`, by default as in the paper.

        The defaults give the paper's three plain convolutions. With `center` 115 / 255 and `gain`
        255 the convolutions map grey levels minus 115 to grey levels minus 115. They are computed
        in float64, so that folding rounds only once.

        Args:
            center: The new center.
            gain: The new gain.
            dtype: The type of the new weights; by default that of the present ones.

        Returns:
            A new network.
        """
        folded = copy.deepcopy(self).double()
        folded.center, folded.gain = center, gain
        first, last = folded.conv1, folded.conv3
        assert first.bias is not None
        assert last.bias is not None
        # What the first layer sees stays: g (x - c) = g/g' g' (x - c') + g (c' - c). So does y.
        first.bias.add_(self.gain * (center - self.center) * first.weight.sum((1, 2, 3)))
        first.weight.mul_(self.gain / gain)
        last.weight.mul_(gain / self.gain)
        last.bias.mul_(gain / self.gain).add_(gain * (self.center - center))
        return folded.to(dtype or self.conv1.weight.dtype)


class Product(nn.Module):
    """A kernel as the product of two matrices, which are trained instead of it.

    The network is trained as if each convolution were two in sequence with no activation between
    them, the second being 1x1. The functions it can express are the same; only the optimisation
    differs (Arora et al. 2018, "On the Optimization of Deep Networks: Implicit Acceleration by
    Overparameterization", arXiv 1802.06509). `joined` multiplies them again.

    Args:
        kernel: The kernel, `(out, in, height, width)`.
        expansion: Number of intermediate channels as a multiple of the output channels.
    """

    def __init__(self, kernel: Tensor, expansion: int) -> None:
        super().__init__()
        self.shape, self.expansion = kernel.shape, expansion
        # By its strides: with one input channel, either order counts as contiguous.
        self.channels_last = kernel.stride(1) == 1

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the kernel.

        Args:
            first: `(expansion out, in height width)`.
            second: `(out, expansion out)`.

        Returns:
            Their product, `(out, in, height, width)`.
        """
        with torch.autocast(first.device.type, enabled=False):
            kernel = (second @ first).reshape(self.shape)
        # `contiguous` would return it as it is, and the convolution take the other order.
        return kernel.clone(memory_format=torch.channels_last) if self.channels_last else kernel

    def right_inverse(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Return two matrices whose product is a kernel, randomly initialised otherwise.

        Args:
            kernel: The kernel.

        Returns:
            The two matrices, as `forward` takes them.
        """
        matrix = kernel.flatten(1)
        count = self.expansion * len(matrix)
        square = torch.randn(count, count, dtype=matrix.dtype)
        second = torch.linalg.qr(square).Q[: len(matrix)].to(matrix.device)
        spare = SPARE * matrix.std() * torch.randn(count, matrix.shape[1], dtype=matrix.dtype)
        spare = spare.to(matrix.device)
        return second.mT @ (matrix - second @ spare) + spare, second.contiguous()


def expanded(network: ESPCN, expansion: int) -> ESPCN:
    """Reparametrise a network with more trainable weights; its function stays the same.

    Args:
        network: The network, which is changed in place.
        expansion: See `Product`; 1 leaves the network as it is.

    Returns:
        The same network. `joined` converts its `state_dict` to that of a plain network.

    Raises:
        ValueError: `expansion` is out of its range.
    """
    checks.integer("expansion", expansion, 1, "1 trains the kernels themselves", most=8)
    if expansion > 1:
        for layer in (network.conv1, network.conv2, network.conv3):
            register_parametrization(layer, "weight", Product(layer.weight, expansion))
    return network


def joined(weights: Mapping[str, Tensor], network: ESPCN) -> dict[str, Tensor]:
    """Return the weights of a plain network from those of a possibly `expanded` one.

    Args:
        weights: The result of `state_dict`.
        network: A plain network with the same layers.

    Returns:
        Weights that `network` can load.
    """
    plain = {name: value for name, value in weights.items() if ".parametrizations." not in name}
    for name, kernel in network.state_dict().items():
        parts = f"{name.replace('.weight', '.parametrizations.weight')}.original"
        if name not in plain and f"{parts}0" in weights:
            product = weights[f"{parts}1"] @ weights[f"{parts}0"]
            plain[name] = product.reshape(kernel.shape)
    return plain
