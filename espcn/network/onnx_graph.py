"""The network as an ONNX graph, built node by node.

The graph has only a few nodes, does not depend on the version of PyTorch, and has meaningful names
and shapes.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from espcn import __version__
from espcn.network.model import ESPCN, FIRST_REACH, HALO
from espcn.network.quantization import COPIES, STEPS, quantize

if TYPE_CHECKING:
    import onnx

OPSET = 17


def onnx_model(
    network: ESPCN, whole: bool = True, channels_last: bool = False, sigmoid: bool = False
) -> "onnx.ModelProto":
    """Return the network as an ONNX graph with free batch, height and width.

    Args:
        network: The network.
        whole: Map pictures `(batch, channels, height, width)`, 0..1, to larger ones. Otherwise the
            graph contains only the three convolutions, without `center`, `gain`, shuffle and the
            padding of the picture.
        channels_last: Take pictures as `(batch, height, width, channels)`; the output is unchanged.
        sigmoid: Write tanh as a sigmoid.

    Returns:
        The model.
    """
    if whole:
        network = network.folded(dtype=torch.float32)
    graph = _Graph("luma" if network.channels == 1 else "rgb")
    if channels_last:
        graph.add("Transpose", perm=[0, 3, 1, 2])
    if whole and network.halo:
        margins = np.array([0, 0, HALO, HALO] * 2, dtype=np.int64)
        graph.add("Pad", graph.constant("border", margins), mode="edge")
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3), 1):
        inner = network.inner if number > 1 else FIRST_REACH * network.inner * whole
        assert layer.bias is not None
        weight = graph.constant(f"weight{number}", _array(layer.weight))
        bias = graph.constant(f"bias{number}", _array(layer.bias))
        graph.add("Conv", weight, bias, kernel_shape=layer.kernel_size, pads=[inner] * 4)
        if number < 3:
            graph.activation(network.activation, sigmoid)
    if whole:
        graph.add("DepthToSpace", blocksize=network.r, mode="CRD")
    colors = network.channels
    axes = ("height", "width", colors) if channels_last else (colors, "height", "width")
    return graph.model(axes, colors if whole else colors * network.r**2)


def int8_model(network: ESPCN, sigmoid: bool = False) -> "onnx.ModelProto":
    """Return the three convolutions of a network in 8 bits.

    They are surrounded by QuantizeLinear and DequantizeLinear, which runtimes fuse into int8
    kernels.

    Args:
        network: A network with `gain` 255 whose `center` is a whole grey level; it is quantised
            here.
        sigmoid: Write tanh as a sigmoid.

    Returns:
        The model, which maps float32 grey levels minus the center to the same.
    """
    made = quantize(network)
    graph = _Graph("luma" if network.channels == 1 else "rgb")

    center = graph.constant("center", np.array(round(255 * network.center), np.uint8))
    level = graph.constant("level", np.array(1, np.float32))
    graph.add("QuantizeLinear", level, center)
    graph.add("DequantizeLinear", level, center)
    graph.add("Concat", *[graph.flow] * (COPIES - 1), axis=1)
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3)):
        whole = made.weights[number].numpy().astype(int)
        if number == 0:  # parts that sum up to the whole
            whole = np.concatenate([(whole + part) // COPIES for part in range(COPIES)], axis=1)
        name = f"weight{number + 1}"
        weight = graph.weight8(name, whole.astype(np.int8), _array(made.steps[number]))
        bias = graph.constant(f"bias{number + 1}", _array(made.biases[number]))
        pads = [network.inner * (number > 0)] * 4
        graph.add("Conv", weight, bias, kernel_shape=layer.kernel_size, pads=pads)
        if number < 2:
            graph.activation(network.activation, sigmoid)
            # Each channel by steps of its own, which the next weights take for the same.
            own = graph.constant(f"steps{number + 1}", _array(made.ranges[number]) / STEPS)
            zeros = np.zeros(len(made.ranges[number]), np.int8)
            graph.add("QuantizeLinear", own, graph.constant(f"zeros{number + 1}", zeros), axis=1)
            same = graph.constant(f"step{number + 1}", np.array(1 / STEPS, np.float32))
            graph.add(
                "DequantizeLinear", same, graph.constant(f"zero{number + 1}", np.array(0, np.int8))
            )
    return graph.model((network.channels, "height", "width"), network.channels * network.r**2)


class _Graph:
    """An ONNX graph under construction: a chain of nodes, each taking the output of the last.

    Args:
        source: The name of its input.

    Attributes:
        flow: The name of the last node's output.
    """

    def __init__(self, source: str) -> None:
        self.source = self.flow = source
        self._weights: list[Any] = []
        self._nodes: list[Any] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        # Keeps an array; returns its name.
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(value, name))
        return name

    def weight8(self, name: str, whole: np.ndarray, steps: np.ndarray) -> str:
        # Keeps weights as int8, with a step for each filter; returns their name.
        from onnx import helper

        zeros = np.zeros(len(steps), np.int8)
        kept = [(name, whole), (f"{name}_steps", steps), (f"{name}_zeros", zeros)]
        names = [self.constant(*one) for one in kept]
        self._nodes.append(
            helper.make_node("DequantizeLinear", names, [f"{name}_dequantized"], axis=0)
        )
        return f"{name}_dequantized"

    def add(self, kind: str, *constants: str, **attributes: Any) -> None:
        from onnx import helper

        before, self.flow = self.flow, f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [before, *constants], [self.flow], **attributes))

    def activation(self, name: str, sigmoid: bool) -> None:
        # Of the network's; `sigmoid` says whether tanh(x) becomes 2 sigmoid(2x) - 1.
        if not (sigmoid and name == "tanh"):
            self.add({"tanh": "Tanh", "relu": "Relu"}[name])
            return
        place = len(self._nodes)
        twice = self.constant(f"twice{place}", np.array(2, np.float32))
        one = self.constant(f"one{place}", np.array(1, np.float32))
        self.add("Mul", twice)
        self.add("Sigmoid")
        self.add("Mul", twice)
        self.add("Sub", one)

    def model(self, axes: tuple[int | str, ...], filters: int) -> "onnx.ModelProto":
        # Of an input with these axes after the batch.
        from onnx import TensorProto, helper

        def port(name: str, *axes: int | str) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *axes])

        self._nodes[-1].output[0] = "upscaled"
        graph = helper.make_graph(
            self._nodes,
            "ESPCN",
            [port(self.source, *axes)],
            [port("upscaled", filters, "upscaled_height", "upscaled_width")],
            self._weights,
        )
        # An old version of the format, which all runtimes in use read.
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=8, producer_name="espcn",
            producer_version=__version__,
        )  # fmt: skip


def needs(*packages: str, reason: str) -> None:
    """Check that packages are installed.

    Args:
        *packages: Their names.
        reason: What needs them, for the message.

    Raises:
        ValueError: One is missing.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"{reason} needs {' and '.join(missing)}, not installed: "
            f"`pip install {' '.join(missing)}`"
        )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().numpy()
