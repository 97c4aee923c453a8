"""Sample patches of a run as the network sees them, each with its target and output."""

from pathlib import Path

import torch

from espcn.data.patches import Patches, PatchSubset
from espcn.evaluation.gallery import save_image, to_image
from espcn.imaging.shuffle import shuffle
from espcn.io.atomic import make_folder, together
from espcn.network.model import ESPCN

COUNT = 8


@torch.no_grad()
def save_samples(folder: Path, network: ESPCN, patches: Patches | PatchSubset) -> None:
    """Write a few patches as NUMBER_low, _target and _output, all PNG.

    They are evenly spaced over all patches, so that they come from different images.

    Args:
        folder: Where to write; created if missing.
        network: The network, on any device.
        patches: Its training or validation patches; may be empty.
    """
    chosen = torch.linspace(0, len(patches) - 1, min(COUNT, len(patches))).round().long()
    some, weight = patches.select(chosen), network.conv1.weight
    output = network.preshuffled(some.low.to(weight) / 255).double().cpu() * 255
    make_folder(folder)
    with together():
        for number in range(len(some)):
            versions = {
                "low": some.low[number],
                "target": shuffle(some.target[number], network.r),
                "output": shuffle(output[number], network.r),
            }
            for kind, picture in versions.items():
                save_image(folder / f"{number}_{kind}.png", to_image(picture))
