"""A network prepared to run with PyTorch, ONNX Runtime or OpenVINO.

All engines map grey levels minus 115 to grey levels minus 115, and agree within the chosen
precision. bfloat16 has 8 significant bits: in 0..1 its rounding errors are up to half a grey level,
while whole grey levels are exact, and outputs near the middle of the range nearly so.
`round_weights` rounds the weights. In int8 grey levels are exact, too; see
`espcn.network.quantization`.
"""

import copy
import threading
from contextlib import nullcontext
from importlib.util import find_spec
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from espcn import checks
from espcn.imaging.shuffle import SYMMETRIES, flip, flip_preshuffled, inverse
from espcn.network.backends import BACKENDS, fuses_activations
from espcn.network.device import full_float32, multiplies_bfloat16, torch_device
from espcn.network.model import ESPCN, FIRST_REACH, HALO
from espcn.network.rounding import round_weights

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
CENTER = 115.0  # grey levels: about the middle of a picture's luma
# Low-resolution pixels per tile: keeps the 64-channel activations in cache, and below the 32 MiB
# above which memory is requested from the system each time.
TILE = {"float32": 100_000, "bfloat16": 240_000, "int8": 240_000}


class Beyond(NamedTuple):
    """Number of rows and columns of a tile and its context that lie beyond the picture's border.

    Attributes:
        above: Rows at the top, at most HALO.
        below: Rows at the bottom.
        left: Columns at the left.
        right: Columns at the right.
    """

    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0

    def flipped(self, symmetry: int) -> "Beyond":
        """Return the same for the flipped tile.

        Args:
            symmetry: See `espcn.imaging.shuffle.flip`.

        Returns:
            The numbers for the flipped sides.
        """
        above, below, left, right = self
        if symmetry & 1:
            left, right = right, left
        if symmetry & 2:
            above, below = below, above
        return (
            Beyond(left, right, above, below) if symmetry & 4 else Beyond(above, below, left, right)
        )


INSIDE = Beyond()


class Engine:
    """A network ready to run on one device.

    Args:
        network: A luma or RGB network.
        engine: torch, compile, onnx or openvino; auto chooses the fastest.
        precision: float32, bfloat16, or int8, which needs OpenVINO or ONNX Runtime on the CPU; auto
            chooses bfloat16 if the device multiplies bfloat16 matrices faster.
        device: cpu or cuda; auto chooses the GPU if there is one.
        lock: A lock shared with other engines that must not run at the same time.
        ensemble: Return the mean over the eight flips and transposes of the picture, which is
            better but takes up to eight times as long.

    Raises:
        ValueError: This machine does not support the combination.
    """

    def __init__(
        self,
        network: ESPCN,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        lock: "threading.Lock | None" = None,
        ensemble: bool = False,
    ) -> None:
        checks.choice("engine", engine, ("auto", *BACKENDS))
        checks.choice("precision", precision, ("auto", *PRECISIONS))
        self.r, self.channels, self._pads_zeros = network.r, network.channels, not network.halo
        if precision == "int8" and device == "cuda":
            raise ValueError(
                "`precision` (=int8) must be left out with `device` (=cuda): it is the processor's"
            )
        if engine == "auto" and precision == "int8":
            engine = "openvino" if find_spec("openvino") or not find_spec("onnxruntime") else "onnx"
        if device == "auto" and engine in ("onnx", "openvino"):
            device = "cpu"
        self.device = torch_device(device)
        self.name = fastest(self.device) if engine == "auto" else engine
        self.precision = precision
        if precision == "auto":
            quick = self.name != "onnx" and multiplies_bfloat16(self.device)
            self.precision = "bfloat16" if quick else "float32"
        self.tile = TILE[self.precision]
        levels = in_grey_levels(network)
        if self.precision == "bfloat16":
            levels = round_weights(levels, PRECISIONS[self.precision])
        self._run = BACKENDS[self.name](levels, PRECISIONS[self.precision], self.device)
        self._symmetries = SYMMETRIES if ensemble else SYMMETRIES[:1]
        self.lock = lock or threading.Lock()  # one at a time has all cores

    def __str__(self) -> str:
        """Describe the engine.

        Returns:
            Text like "torch, bfloat16, 2 threads".
        """
        count = torch.get_num_threads()
        cores = f"{count} thread{'s' * (count > 1)}" if self.device.type == "cpu" else "GPU"
        mean = "" if len(self._symmetries) == 1 else ", the mean of eight"
        return f"{self.name}, {self.precision}, {cores}{mean}"

    @property
    def settings(self) -> list[str | int]:
        """What the output depends on, as plain values: not the number of threads."""
        return [self.name, str(self.precision), self.device.type, len(self._symmetries)]

    def __call__(self, context: Tensor, beyond: Beyond = INSIDE) -> Tensor:
        """Return the network's output before the shuffle.

        Args:
            context: Luma or RGB with HALO more pixels on each side, `(batch, channels, height + 8,
                width + 8)`, grey levels in 0..255; in bfloat16 and int8 they should be whole.
            beyond: How many of its rows and columns lie beyond the picture's border; they repeat
                the border pixels. A network that pads with zeros replaces them with zeros.

        Returns:
            float32 `(batch, channels r^2, height, width)`, grey levels, neither rounded nor
            clipped.
        """
        exact = full_float32(self.device) if self.precision == "float32" else nullcontext()
        with self.lock, torch.inference_mode(), exact:
            context = context.to(self.device, torch.float32)
            total = self._one(context, beyond)
            for symmetry in self._symmetries[1:]:
                made = self._one(flip(context, symmetry).contiguous(), beyond.flipped(symmetry))
                total.add_(flip_preshuffled(made, self.r, inverse(symmetry)))
            return total.div_(len(self._symmetries)) if len(self._symmetries) > 1 else total

    def _one(self, context: Tensor, beyond: Beyond) -> Tensor:
        if self._pads_zeros:
            return self._zero_padded(context, beyond)
        return self._levels(context)

    def _levels(self, picture: Tensor) -> Tensor:
        made = self._run(picture - CENTER)  # copied by the sum: the backend may keep its memory
        return made + CENTER if made.dtype == torch.float32 else made.float().add_(CENTER)

    def _zero_padded(self, context: Tensor, beyond: Beyond) -> Tensor:
        """Pad with zeros only at the picture's border: elsewhere zeros affect only the halo."""
        height, width = context.shape[-2:]
        inside = context[
            ..., beyond.above : height - beyond.below, beyond.left : width - beyond.right
        ]
        # Of the picture itself: black.
        large = self._levels(F.pad(inside, [FIRST_REACH] * 4))
        bottom, right = large.shape[-2] - HALO + beyond.below, large.shape[-1] - HALO + beyond.right
        return large[..., HALO - beyond.above : bottom, HALO - beyond.left : right]


def in_grey_levels(network: ESPCN) -> ESPCN:
    """Return a network as engines run it, which maps grey levels minus 115 to the same.

    Args:
        network: The network.

    Returns:
        A new network on the CPU, in float64.
    """
    levels = copy.deepcopy(network).cpu().folded(CENTER / 255, 255.0, torch.float64)
    return levels.requires_grad_(False).eval()


class Engines(NamedTuple):
    """One network ready to run at two bit depths.

    Attributes:
        quick: For whole grey levels, as in 8-bit pictures.
        exact: In float32, for finer levels; `quick` itself if that is float32.
    """

    quick: Engine
    exact: Engine

    @property
    def r(self) -> int:
        """The upscaling factor."""
        return self.quick.r


def fastest(device: torch.device) -> str:
    """Return the engine that measures fastest here (RESULTS.md).

    Args:
        device: The device to run on.

    Returns:
        A name in BACKENDS: torch if it has fused convolutions, otherwise an installed one.
    """
    if device.type != "cpu" or fuses_activations():
        return "torch"
    if find_spec("onnx") is not None:
        for engine, package in (("openvino", "openvino"), ("onnx", "onnxruntime")):
            if find_spec(package) is not None:
                return engine
    return "torch"
