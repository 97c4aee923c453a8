"""The network as an ONNX graph, put together node by node.

The graph is a few nodes long, the same for every version of PyTorch, and has the names and the
shapes that its users see.
"""

import copy
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from espcn import __version__
from espcn.network.model import ESPCN, FIRST_REACH, HALO

if TYPE_CHECKING:
    import onnx

OPSET = 17


def onnx_model(
    network: ESPCN, whole: bool = True, channels_last: bool = False
) -> "onnx.ModelProto":
    """Return the network as an ONNX graph with free batch, height and width.

    Args:
        network: The network.
        whole: Map pictures `(batch, channels, height, width)`, 0..1, to larger ones. Else the graph
            is the three convolutions alone, without `center`, `gain`, shuffle and what pads the
            picture itself.
        channels_last: Take pictures as `(batch, height, width, channels)`; the output stays.

    Returns:
        The model.
    """
    from onnx import TensorProto, helper, numpy_helper

    if whole:
        network = copy.deepcopy(network).double().folded().float()
    weights: list[Any] = []
    nodes: list[Any] = []
    flow = source = "luma" if network.channels == 1 else "rgb"

    def add(kind: str, *constants: tuple[str, np.ndarray], **attributes: Any) -> None:
        nonlocal flow
        weights.extend(numpy_helper.from_array(value, name) for name, value in constants)
        names = [flow, *(name for name, _ in constants)]
        flow = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, names, [flow], **attributes))

    if channels_last:
        add("Transpose", perm=[0, 3, 1, 2])
    if whole and network.halo:
        margins = np.array([0, 0, HALO, HALO] * 2, dtype=np.int64)
        add("Pad", ("border", margins), mode="edge")
    activation = {"tanh": "Tanh", "relu": "Relu"}[network.activation]
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3), 1):
        inner = network.inner if number > 1 else FIRST_REACH * network.inner * whole
        assert layer.bias is not None
        values = [(f"weight{number}", _array(layer.weight)), (f"bias{number}", _array(layer.bias))]
        add("Conv", *values, kernel_shape=layer.kernel_size, pads=[inner] * 4)
        if number < 3:
            add(activation)
    if whole:
        add("DepthToSpace", blocksize=network.r, mode="CRD")
    nodes[-1].output[0] = "upscaled"
    filters = network.channels if whole else network.channels * network.r**2

    def port(name: str, *axes: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *axes])

    colors = network.channels
    axes = ("height", "width", colors) if channels_last else (colors, "height", "width")
    graph = helper.make_graph(
        nodes,
        "ESPCN",
        [port(source, *axes)],
        [port("upscaled", filters, "upscaled_height", "upscaled_width")],
        weights,
    )
    # An old version of the format, which all runtimes in use read.
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opset, ir_version=8, producer_name="espcn",
        producer_version=__version__,
    )  # fmt: skip
    return model


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
