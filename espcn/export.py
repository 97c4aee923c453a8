"""The network as an ONNX file, for programs that know nothing of PyTorch.

The graph is put together node by node: it is seven nodes long, the same for every version of
PyTorch, and has the names and the shapes that its users see.
"""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from espcn import __version__
from espcn.files import whole_file
from espcn.model import ESPCN, REACH
from espcn.weights import load, metadata

if TYPE_CHECKING:
    import onnx

OPSET = 17
CHECKED_SIZES = ((1, 1, 5, 7), (2, 1, 31, 18))  # odd ones: batch, channels, height, width
TOLERANCE = 1e-4  # of 0..1: between runtimes, sums are taken in another order


def onnx_model(network: ESPCN, whole: bool = True) -> "onnx.ModelProto":
    """Give the network as ONNX, its batch, height and width free.

    `whole`: pictures in, `(batch, channels, height, width)`, 0..1, larger pictures out. Else the
    three convolutions alone, as they stand, without border, `center`, `gain` and shuffle.
    """
    from onnx import TensorProto, helper, numpy_helper

    if whole:
        network = copy.deepcopy(network).double().fold().float()
    weights: list[Any] = []
    nodes: list[Any] = []
    flow = source = "luma" if network.channels == 1 else "rgb"

    def add(kind: str, *constants: tuple[str, np.ndarray], **attributes: Any) -> None:
        nonlocal flow
        weights.extend(numpy_helper.from_array(value, name) for name, value in constants)
        names = [flow, *(name for name, _ in constants)]
        flow = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, names, [flow], **attributes))

    if whole and network.halo:
        margins = np.array([0, 0, REACH, REACH] * 2, dtype=np.int64)
        add("Pad", ("border", margins), mode="edge")
    activation = {"tanh": "Tanh", "relu": "Relu"}[network.activation]
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3), 1):
        inner = 0 if network.halo else layer.kernel_size[0] // 2
        assert layer.bias is not None
        values = [(f"weight{number}", _array(layer.weight)), (f"bias{number}", _array(layer.bias))]
        add("Conv", *values, kernel_shape=layer.kernel_size, pads=[inner] * 4)
        if number < 3:
            add(activation)
    if whole:
        add("DepthToSpace", blocksize=network.r, mode="CRD")
    nodes[-1].output[0] = "upscaled"
    filters = network.channels if whole else network.channels * network.r**2

    def port(name: str, channels: int, height: str, width: str) -> Any:
        return helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["batch", channels, height, width]
        )

    graph = helper.make_graph(
        nodes,
        "ESPCN",
        [port(source, network.channels, "height", "width")],
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


def export(r: int | None = None, ckpt: str | None = None, output: str | None = None) -> Path:
    """Write a network to an ONNX file, once ONNX Runtime gives what PyTorch gives; give its path.

    The shipped network for `r`, 3 if not given, or that of `ckpt`; to `output`, or espcn_x3.onnx.
    The file's metadata say factor, range, layout, licence and where the weights come from. Raises a
    ValueError if onnx or onnxruntime isn't there, or if the two differ by more than `TOLERANCE`.
    """
    needs("onnx", "onnxruntime", reason="export")
    from onnx import helper

    network, trained, source = load(r, ckpt)
    path = Path(output or f"espcn_x{network.r}.onnx")
    if path.suffix != ".onnx":
        raise ValueError(f"`-o` (={path}) must end in .onnx, by which it is known")
    if not path.parent.is_dir():
        raise ValueError(f"`-o` (={path}) must be in a folder that exists: make {path.parent}")
    colors = "luma, BT.601 studio range, 16 to 235 of 255" if network.channels == 1 else "RGB"
    origin = metadata(source) if source.suffix == ".safetensors" else {}
    about = origin | {
        "factor": str(network.r),
        "range": f"0..1, {colors}; the output is neither clipped nor rounded",
        "layout": "float32 (batch, channels, height, width), all but channels free; the output is "
        "r times as high and wide",
        "source": f"{origin.get('command', source.name)}; Shi et al., CVPR 2016, arXiv 1609.05158",
        "degradation": f"downsample={trained['downsample']} blur={trained['blur']:g}",
    }
    model = onnx_model(network)
    helper.set_model_props(model, about)
    content = model.SerializeToString()
    _check(network, content)
    with whole_file(path) as part:
        part.write_bytes(content)
    return path


def needs(*packages: str, reason: str) -> None:
    """Raise a ValueError that names those of `packages` that aren't installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"{reason} needs {' and '.join(missing)}, not installed: "
            f"`pip install {' '.join(missing)}`"
        )


def _check(network: ESPCN, content: bytes) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    generator = torch.Generator().manual_seed(0)
    for batch, _, height, width in CHECKED_SIZES:
        picture = torch.rand(batch, network.channels, height, width, generator=generator)
        with torch.no_grad():
            expected = network(picture).numpy()
        (got,) = session.run(None, {source.name: picture.numpy()})
        worst = float(np.abs(got - expected).max())
        if worst > TOLERANCE:
            raise ValueError(f"ONNX Runtime differs from PyTorch by {worst:.1e}: nothing written")


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().numpy()
