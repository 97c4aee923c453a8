"""Pictures of a network's kernels: those of the first layer, and the output of the last layer's."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from espcn.evaluation.gallery import save_image, to_image
from espcn.io.atomic import make_folder
from espcn.network.model import ESPCN


def save_kernels(folder: Path, network: ESPCN) -> None:
    """Draw the kernels of the first layer and the output of those of the last layer.

    Writes filters_first.png, the 64 kernels of 5x5, and filters_last.png, the contribution of each
    of the 32 features at high resolution (see `painted`; grey is zero). Kernels are sorted by
    variance, as in the paper's figure 3, and each is scaled to its own range.

    Args:
        folder: Where to write; created if missing.
        network: The network.
    """
    make_folder(folder)
    first = network.conv1.weight.detach().cpu()
    low, high = first.amin((1, 2, 3), keepdim=True), first.amax((1, 2, 3), keepdim=True)
    save_image(
        folder / "filters_first.png", _sheet(first, (first - low) / (high - low).clamp_min(1e-9))
    )
    last = painted(network)
    scale = last.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-9)
    save_image(folder / "filters_last.png", _sheet(last, last / scale / 2 + 0.5))


@torch.no_grad()
def painted(network: ESPCN) -> Tensor:
    """Return what each input feature of the last layer adds to the output around it.

    These are the r^2 kernels of 3x3 that look at a feature, rotated by 180 degrees, since the
    output at p - u sees the feature at p through the kernel's tap u, and shuffled together.

    Args:
        network: The network.

    Returns:
        `(32, channels, 3r, 3r)`.
    """
    kernels = network.conv3.weight.cpu().flip(2, 3).transpose(0, 1)
    return torch.nn.functional.pixel_shuffle(kernels, network.r)


def _sheet(kernels: Tensor, shown: Tensor, side: int = 60, gap: int = 6) -> Image.Image:
    """Arrange `shown`, `(n, 1 or 3, height, width)`, 0..1, in rows of 8, each pixel a square."""
    side = max(1, side // shown.shape[-1]) * shown.shape[-1]
    rows, cell = -(-len(shown) // 8), side + gap
    sheet = Image.new("RGB", (8 * cell + gap, rows * cell + gap), "white")
    order = kernels.var((1, 2, 3)).argsort(descending=True)
    for index, kernel in enumerate(shown[order]):
        tile = to_image(kernel * 255).convert("RGB").resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(tile, (gap + index % 8 * cell, gap + index // 8 * cell))
    return sheet
