"""The network for OpenCV's `dnn_superres`, as a replacement for OpenCV's ESPCN.

Up to OpenCV 5.0 that module reads TensorFlow graphs, since 5.1 ONNX. It feeds the full-range luma
of OpenCV's YCrCb, 0 to 255; the network's luma, 16 to 235, is an affine map of that.
"""

import copy
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espcn.export.formats import check_network
from espcn.export.tensorflow import graph_def
from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN
from espcn.network.onnx_graph import needs, onnx_model

RANGE, BLACK = 219 / 255, 16 / 255  # of BT.601's studio range, in the full one
FACTORS = (2, 3, 4)  # those that OpenCV's own layer for the shuffle knows
CHECKED_SIZES = ((5, 7), (31, 18))  # odd ones: height, width
TOLERANCE = 0.52  # grey levels: OpenCV rounds, and takes sums in another order


def write(path: Path, network: ESPCN, about: Mapping[str, str]) -> str:
    """Write a file for `dnn_superres`, after checking that OpenCV agrees with PyTorch.

    Args:
        path: The file: TensorFlow's format if it ends in .pb, else ONNX.
        network: A luma network that replicates the border, for a factor of 2, 3 or 4.
        about: Text by name for the ONNX metadata; TensorFlow's format does not support any.

    Returns:
        "checked by OpenCV" and its version; or that it was not checked, and what is missing.

    Raises:
        ValueError: The network is of another kind; onnx is not installed; or OpenCV differs by more
            than `TOLERANCE`.
    """
    check_network(network, "OpenCV's dnn_superres")
    if network.r not in FACTORS:
        raise ValueError(
            f"`r` (={network.r}) must be 2, 3 or 4 for OpenCV's dnn_superres: write .onnx"
        )
    suited = full_range(network)
    is_graph = path.suffix.lower() == ".pb"
    content = graph_def(suited) if is_graph else _onnx(suited, about)
    with atomic_write(path) as part:
        part.write_bytes(content)
        return _check(network, part, is_graph)


@torch.no_grad()
def full_range(network: ESPCN) -> ESPCN:
    """Return the same network for luma in 0 to 255 instead of 16 to 235, both as 0..1.

    Args:
        network: A luma network that replicates the border.

    Returns:
        A new network, with `center` and `gain` folded into its weights.
    """
    suited = copy.deepcopy(network)
    # The first layer sees g (s x + b - c) = g s (x - (c - b) / s).
    suited.center, suited.gain = (network.center - BLACK) / RANGE, network.gain * RANGE
    return suited.folded(dtype=torch.float32)


def reader(path: Path, r: int) -> Any:
    """Return a `dnn_superres` object with a network, set up as users do.

    Args:
        path: The network's file, in a format that this version of OpenCV reads.
        r: Its factor.

    Returns:
        A `DnnSuperResImpl`, whose `upsample` takes and returns a uint8 picture, grey or BGR.

    Raises:
        ImportError: OpenCV is not installed, or lacks this module.
    """
    from cv2 import dnn_superres

    upscaler: Any = dnn_superres.DnnSuperResImpl_create()
    upscaler.readModel(str(path))
    upscaler.setModel("espcn", r)
    return upscaler


def _onnx(network: ESPCN, about: Mapping[str, str]) -> bytes:
    needs("onnx", reason="an .onnx file")
    from onnx import helper

    model = onnx_model(network, channels_last=True)
    # What the weights say of their `input` is true of studio range.
    metadata = {name: text for name, text in about.items() if name != "input"} | {
        "range": "0..1, luma of full range as in OpenCV's YCrCb; the output is not clipped",
        "layout": "float32, (batch, height, width, 1) to (batch, 1, r height, r width)",
    }
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


@torch.no_grad()
def _check(network: ESPCN, path: Path, is_graph: bool) -> str:
    if find_spec("cv2") is None:
        return "not checked: OpenCV is not installed"
    import cv2

    name = f"OpenCV {cv2.__version__}"
    if not hasattr(cv2, "dnn_superres"):
        return f"not checked: this {name} has no dnn_superres, opencv-contrib-python-headless has"
    if hasattr(cv2.dnn, "readNetFromTensorflow") != is_graph:
        reads = ".opencv.onnx" if is_graph else ".pb"
        return f"not checked: the dnn_superres of this {name} reads {reads} instead"
    generator = torch.Generator().manual_seed(0)
    for size in CHECKED_SIZES:
        grey = torch.randint(256, size, generator=generator, dtype=torch.uint8)
        studio = grey / 255 * RANGE + BLACK
        wanted = (network(studio[None, None])[0, 0].numpy() - BLACK) / RANGE * 255
        try:
            got = reader(path, network.r).upsample(grey.numpy())
        except cv2.error as error:
            raise ValueError(f"{name} can't run it, nothing written: {error.err}") from error
        worst = float(np.abs(got - wanted.clip(0, 255)).max())
        if worst > TOLERANCE:
            raise ValueError(f"{name} differs from PyTorch by {worst:.1f} levels: nothing written")
    return f"checked by {name}"
