"""The network as an ONNX file, for programs that know nothing of PyTorch."""

from pathlib import Path

import numpy as np
import torch

from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN
from espcn.network.onnx_graph import needs, onnx_model
from espcn.network.strengths import for_jpegs, load_strength
from espcn.network.weights import load

CHECKED_SIZES = ((1, 1, 5, 7), (2, 1, 31, 18))  # odd ones: batch, channels, height, width
TOLERANCE = 1e-4  # of 0..1: between runtimes, sums are taken in another order


def export(
    r: int | None = None,
    ckpt: str | None = None,
    output: str | None = None,
    compression: int | None = None,
) -> Path:
    """Write a network to an ONNX file, once ONNX Runtime agrees with PyTorch.

    The file's metadata hold factor, range, layout, licence and provenance.

    Args:
        r: The factor of the shipped weights, 3 if not given.
        ckpt: A checkpoint or weights of your own instead.
        output: The file; espcn_x3.onnx and the like if not given.
        compression: The quality of the JPEGs that the shipped weights are to suit, 1 to 100; None
            for clean pictures.

    Returns:
        The path of the file.

    Raises:
        ValueError: onnx or onnxruntime is not installed, or the two differ by more than
            `TOLERANCE`; or `compression` is no quality, or given with `ckpt`.
    """
    needs("onnx", "onnxruntime", reason="export")
    from onnx import helper

    trained = load(r, ckpt)
    network, origin = trained.network, trained.metadata
    suits = str(trained.degradation)
    if compression is not None:
        taken = for_jpegs(network.r, compression, ckpt)
        network, suits = load_strength(network.r, taken), f"JPEGs of quality {compression}: {taken}"
        origin = {"command": f"mixed from the shipped weights: {taken}"}  # of several runs
    path = Path(output or f"espcn_x{network.r}.onnx")
    if path.suffix != ".onnx":
        raise ValueError(f"`-o` (={path}) must end in .onnx, by which it is known")
    if not path.parent.is_dir():
        raise ValueError(f"`-o` (={path}) must be in a folder that exists: make {path.parent}")
    colors = "luma, BT.601 studio range, 16 to 235 of 255" if network.channels == 1 else "RGB"
    about = origin | {
        "factor": str(network.r),
        "range": f"0..1, {colors}; the output is neither clipped nor rounded",
        "layout": "float32 (batch, channels, height, width), all but channels free; the output is "
        "r times as high and wide",
        "source": f"{origin.get('command', trained.path.name)}; Shi et al., CVPR 2016, "
        "arXiv 1609.05158",
        "degradation": suits,
    }
    model = onnx_model(network)
    helper.set_model_props(model, about)
    content = model.SerializeToString()
    _check(network, content)
    with atomic_write(path) as part:
        part.write_bytes(content)
    return path


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
