"""Other people's networks: rebuilt in PyTorch, they give what they gave elsewhere."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import Peer, peers
from peers import score, upscaler
from torch import nn

from espcn.data.datasets import load_set
from espcn.export.superres import reader
from helpers import run

FOLDER = Path(os.environ.get("ESPCN_PEERS", ""))
needs_peers = pytest.mark.skipif("ESPCN_PEERS" not in os.environ, reason="needs $ESPCN_PEERS")
needs_set5 = pytest.mark.skipif("ESPCN_DATA" not in os.environ, reason="needs Set5")
try:
    from cv2.dnn import readNetFromTensorflow  # noqa: F401  # as long as OpenCV has it
    from cv2.dnn_superres import DnnSuperResImpl_create  # noqa: F401
except ImportError:
    HAS_SUPERRES = False
else:
    HAS_SUPERRES = True
needs_opencv = pytest.mark.skipif(not HAS_SUPERRES, reason="needs OpenCV's dnn_superres up to 5.0")

# Set5, dB on luma, measured by another program with the same files.
SET5 = {
    2: {"ETDS's ESPCN": 36.79, "ETDS's FSRCNN": 36.94, "ETDS-T": 37.12, "ECBSR-M4C16": 37.12},
    3: {"ETDS's ESPCN": 32.83, "ETDS's FSRCNN": 32.99, "ETDS-T": 33.12, "ECBSR-M4C16": 33.05},
    4: {"ETDS's ESPCN": 30.67, "ETDS's FSRCNN": 30.77, "ETDS-T": 30.87, "ECBSR-M4C16": 30.87},
}
SET5_OPENCV = {2: (34.73, 34.82), 3: (30.51, 30.57), 4: (28.37, 28.39)}


def test_operations_are_a_weights_uses_in_a_picture() -> None:
    plain, transposed = nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 1, 9, 2, 4, 1)
    peer = Peer("net", "", nn.Sequential(plain, nn.PReLU(4), transposed), 3)
    # Each weight is used once for a pixel that is given, or, transposed, that is taken.
    assert peer.multiply_adds(10, 7) == 10 * 7 * (3 * 3 * 3 * 4 + 9 * 9 * 4)
    assert peer.weights == 108 + 4 + 4 + 324 + 1


@needs_peers
@pytest.mark.parametrize("r", [2, 3, 4])
def test_ours_is_last_and_has_the_papers_weights(r: int) -> None:
    *others, ours = peers(FOLDER, r)
    assert len(others) == 6
    kernels = 5 * 5 * 64 + 3 * 3 * 64 * 32 + 3 * 3 * 32 * r * r
    assert (ours.name, ours.weights) == ("ours, shipped", kernels + 64 + 32 + r * r)


@needs_peers
@needs_set5
@pytest.mark.parametrize("r", [2, 3, 4])
def test_networks_in_colours_score_as_elsewhere(r: int) -> None:
    upscalers = {peer.name: upscaler(peer, r) for peer in peers(FOLDER, r) if peer.channels == 3}
    figures = score(upscalers, load_set("Set5", download=False), r)
    assert figures == pytest.approx(SET5[r], abs=0.02)


@needs_peers
@needs_set5
@needs_opencv
@pytest.mark.parametrize("r", [2, 3, 4])
def test_opencvs_networks_score_as_elsewhere(r: int) -> None:
    upscalers = {peer.name: upscaler(peer, r) for peer in peers(FOLDER, r) if peer.path}
    figures = score(upscalers, load_set("Set5", download=False), r)
    assert list(figures.values()) == pytest.approx(list(SET5_OPENCV[r]), abs=0.02)


@needs_peers
@needs_opencv
@pytest.mark.parametrize("r", [2, 3, 4])
def test_modules_of_opencvs_graphs_are_those_graphs(r: int) -> None:
    grey = torch.randint(256, (21, 34), dtype=torch.uint8)
    for peer in peers(FOLDER, r):
        if peer.path is None:
            continue
        with torch.no_grad():
            wanted = peer.network(grey[None, None] / 255)[0, 0].clamp(0, 1) * 255
        np.testing.assert_allclose(
            reader(peer.path, r).upsample(grey.numpy()), wanted, rtol=0, atol=0.51
        )


def test_missing_folder_is_named() -> None:
    done = run("benchmarks/peers.py", ESPCN_PEERS="")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: $ESPCN_PEERS must be the folder of the networks")
