"""Other people's networks as PyTorch modules, read from the files in which they are published.

They are looked for under the folder $ESPCN_PEERS, and are no part of the project:

    opencv/ESPCN_x2.pb, FSRCNN_x2.pb ...              what OpenCV's dnn_superres asks to download
    etds/ESPCN_x2.pth, FSRCNN_x2.pth, ETDS_M5C16_x2.pth, ECBSR_M4C16_x2.pth ...   those of ETDS
                                                      (Chao et al., CVPR 2023)

Reading them runs nothing that they hold. All modules take and give `(batch, channels, height,
width)`, 0..1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from espcn.network.weights import load

State = dict[str, Tensor]


@dataclass(frozen=True)
class Peer:
    """A network to be compared.

    Attributes:
        name: Whose it is, and which.
        trained_on: The image set.
        network: The module, in evaluation mode; its shuffle included.
        channels: 1 for luma, 3 for RGB.
        path: The file that OpenCV's dnn_superres reads; None for a network that PyTorch runs.
    """

    name: str
    trained_on: str
    network: nn.Module
    channels: int
    path: Path | None = None

    @property
    def weights(self) -> int:
        """The number of weights and biases."""
        return sum(one.numel() for one in self.network.parameters())

    def multiply_adds(self, height: int, width: int) -> int:
        """Return how many multiplications, each with its addition, a picture takes."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.network(torch.zeros(1, self.channels, height, width))
        return counter.get_total_flops() // 2


def peers(folder: Path, r: int) -> list[Peer]:
    """Return the networks of a factor, ours last.

    Args:
        folder: $ESPCN_PEERS.
        r: The factor, 2, 3 or 4.

    Returns:
        Networks in evaluation mode, on the CPU.
    """
    found = []
    for name, data, build in OPENCV:
        path = folder / f"opencv/{name}_x{r}.pb"
        network = build(read_graph(path), r).eval()
        found.append(Peer(f"OpenCV's {name}", data, network, 1, path))
    for name, file, build in ETDS:
        state = torch.load(folder / f"etds/{file}_x{r}.pth", map_location="cpu", weights_only=True)
        found.append(Peer(name, "DIV2K", build(state, r).eval(), 3))
    return [*found, Peer("ours, shipped", "T91", load(r).network.folded(), 1)]


def read_graph(path: Path) -> State:
    """Return the constants of a graph of TensorFlow's by name, kernels in PyTorch's order."""
    graph = GraphDef()
    graph.ParseFromString(path.read_bytes())
    arrays = {n.name: make_ndarray(n.attr["value"].tensor) for n in graph.node if n.op == "Const"}
    return {
        name: torch.from_numpy(np.array(one.transpose(3, 2, 0, 1) if one.ndim == 4 else one))
        for name, one in arrays.items()
    }


def opencv_espcn(state: State, r: int) -> nn.Module:
    """Return OpenCV's ESPCN: ReLU within, tanh after the shuffle."""
    first, second, third = (_convolution(state[f"f{n}"], state[f"b{n}"]) for n in (1, 2, 3))
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), third, nn.PixelShuffle(r), nn.Tanh()
    )  # fmt: skip


def opencv_fsrcnn(state: State, r: int) -> nn.Module:
    """Return OpenCV's FSRCNN: eight convolutions, PReLU between them, a shuffle."""
    layers: list[nn.Module] = []
    for n in range(1, 8):
        layers += [_convolution(state[f"f{n}"], state[f"b{n}"]), _prelu(state[f"alpha{n}"])]
    # Its last bias, one number, is added after the shuffle.
    last = _convolution(state["f8"], state["b8"].expand(r * r))
    return nn.Sequential(*layers, last, nn.PixelShuffle(r))


def etds_espcn(state: State, r: int) -> nn.Module:
    """Return the ESPCN in colours that ETDS is compared with: tanh within, a sigmoid at the end."""
    first, second, third = _in_order(state)
    return nn.Sequential(
        first, nn.Tanh(), second, nn.Tanh(), third, nn.PixelShuffle(r), nn.Sigmoid()
    )  # fmt: skip


def etds_fsrcnn(state: State, r: int) -> nn.Module:
    """Return the FSRCNN in colours that ETDS is compared with: a transposed convolution is last."""
    before = {name: value for name, value in state.items() if not name.startswith("last_part")}
    last = nn.ConvTranspose2d(56, 3, 9, stride=r, padding=4, output_padding=r - 1)
    last.load_state_dict({"weight": state["last_part.weight"], "bias": state["last_part.bias"]})
    return nn.Sequential(*_in_order(before), last)


def etds(state: State, r: int) -> nn.Module:
    """Return ETDS in its plain form: ReLU after each convolution."""
    layers = [one for layer in _in_order(state) for one in (layer, nn.ReLU())]
    return nn.Sequential(*layers, _First(3 * r * r), nn.PixelShuffle(r))


def ecbsr(state: State, r: int) -> nn.Module:
    """Return ECBSR in its plain form: PReLU, and the picture itself added before the shuffle."""
    return nn.Sequential(_Added(nn.Sequential(*_in_order(state)), r * r), nn.PixelShuffle(r))


class _First(nn.Module):
    """The first filters."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, flow: Tensor) -> Tensor:
        return flow[:, : self.count]


class _Added(nn.Module):
    """What a network makes of a picture, with each colour added to as many filters."""

    def __init__(self, network: nn.Module, filters: int) -> None:
        super().__init__()
        self.network, self.filters = network, filters

    def forward(self, picture: Tensor) -> Tensor:
        return self.network(picture) + picture.repeat_interleave(self.filters, 1)


def _in_order(state: State) -> list[nn.Module]:
    """Return the convolutions, and the PReLUs between them, in the order of their names."""
    return [
        _convolution(value, state[name.removesuffix("weight") + "bias"])
        if value.ndim == 4
        else _prelu(value)
        for name, value in state.items()
        if name.endswith("weight")
    ]


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    filters, channels, side, _ = weight.shape
    layer = nn.Conv2d(channels, filters, side, padding=side // 2, bias=True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _prelu(slopes: Tensor) -> nn.PReLU:
    layer = nn.PReLU(slopes.numel())
    layer.load_state_dict({"weight": slopes.flatten()})
    return layer


Build = Callable[[State, int], nn.Module]

# name, image set (by the README of each), what builds it
OPENCV: tuple[tuple[str, str, Build], ...] = (
    ("ESPCN", "DIV2K", opencv_espcn),
    ("FSRCNN", "T91, General100", opencv_fsrcnn),
)
ETDS: tuple[tuple[str, str, Build], ...] = (
    ("ETDS's ESPCN", "ESPCN", etds_espcn),
    ("ETDS's FSRCNN", "FSRCNN", etds_fsrcnn),
    ("ETDS-T", "ETDS_M5C16", etds),
    ("ECBSR-M4C16", "ECBSR_M4C16", ecbsr),
)
