"""The network as an ONNX file, for programs without PyTorch."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN
from espcn.network.onnx_graph import needs, onnx_model

CHECKED_SIZES = ((1, 1, 5, 7), (2, 1, 31, 18))  # odd ones: batch, channels, height, width
TOLERANCE = 1e-4  # of 0..1: between runtimes, sums are taken in another order


def write(path: Path, network: ESPCN, about: Mapping[str, str]) -> str:
    """Write an ONNX file, and check it with ONNX Runtime if that is installed.

    Its metadata contain the range and layout as well as `about`.

    Args:
        path: The file.
        network: The network.
        about: Text by name for the metadata.

    Returns:
        "checked by ONNX Runtime 1.2", or "not checked: ONNX Runtime is not installed".

    Raises:
        ValueError: onnx is not installed, or ONNX Runtime differs by more than `TOLERANCE`.
    """
    needs("onnx", reason="an .onnx file")
    from onnx import helper

    colors = "luma, BT.601 studio range, 16 to 235 of 255" if network.channels == 1 else "RGB"
    model = onnx_model(network)
    metadata = dict(about) | {
        "range": f"0..1, {colors}; the output is neither clipped nor rounded",
        "layout": "float32 (batch, channels, height, width), all but channels free; the output is "
        "r times as high and wide",
    }
    helper.set_model_props(model, metadata)
    content = model.SerializeToString()
    said = _check(network, content)
    with atomic_write(path) as part:
        part.write_bytes(content)
    return said


def _check(network: ESPCN, content: bytes) -> str:
    if find_spec("onnxruntime") is None:
        return "not checked: ONNX Runtime is not installed"
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
    return f"checked by ONNX Runtime {onnxruntime.__version__}"
