"""Pictures of an evaluation: results, comparisons and filters."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from espcn.evaluation.protocol import Reconstruction, Score
from espcn.imaging.color import from_ycbcr, to_ycbcr
from espcn.imaging.metrics import psnr, quantize
from espcn.imaging.resize import imresize
from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN


def save_pictures(folder: Path, made: Reconstruction, scored: Score) -> None:
    """Write NAME_low, _bicubic, _espcn, _original and the side-by-side NAME_compare, all PNG.

    A luma network's pictures are coloured by the chroma of the low-resolution picture, upscaled
    bicubically, under the very luma that was scored. The side-by-side shows each one's PSNR.

    Args:
        folder: Where to write; made where it does not exist.
        made: The picture in all its versions, in colour if it has any.
        scored: Its name and figures.
    """
    versions = in_color(made)
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(scored.name).stem
    for kind, picture in versions.items():
        _save(folder / f"{stem}_{kind}.png", _to_image(picture))
    r = made.original.shape[-1] // made.low.shape[-1]
    upscaled = versions["low"].repeat_interleave(r, -2).repeat_interleave(r, -1)
    low = made.low.repeat_interleave(r, -2).repeat_interleave(r, -1)
    panels = [
        (f"low resolution {psnr(low, made.original):.2f} dB", upscaled),
        (f"bicubic {scored.bicubic_psnr:.2f} dB", versions["bicubic"]),
        (f"ESPCN {scored.psnr:.2f} dB", versions["espcn"]),
        ("original", versions["original"]),
    ]
    _save(folder / f"{stem}_compare.png", _side_by_side(panels))


def save_kernels(folder: Path, network: ESPCN) -> None:
    """Draw the kernels of the first layer and what those of the last layer paint.

    Writes filters_first.png, the 64 kernels of 5x5, and filters_last.png, what each of the 32
    features paints at high resolution (see `painted`; grey is zero). Kernels are sorted by
    variance, as in the paper's figure 3, and each is scaled to its own range.

    Args:
        folder: Where to write; created if missing.
        network: The network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = network.conv1.weight.detach().cpu()
    low, high = first.amin((1, 2, 3), keepdim=True), first.amax((1, 2, 3), keepdim=True)
    _save(folder / "filters_first.png", _sheet(first, (first - low) / (high - low).clamp_min(1e-9)))
    last = painted(network)
    scale = last.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-9)
    _save(folder / "filters_last.png", _sheet(last, last / scale / 2 + 0.5))


@torch.no_grad()
def painted(network: ESPCN) -> Tensor:
    """Return what each feature of the last layer adds to the output around it.

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
    """Lay out `shown`, `(n, 1 or 3, height, width)`, 0..1, in rows of 8, each pixel a square."""
    rows, cell = -(-len(shown) // 8), side + gap
    sheet = Image.new("RGB", (8 * cell + gap, rows * cell + gap), "white")
    order = kernels.var((1, 2, 3)).argsort(descending=True)
    for index, kernel in enumerate(shown[order]):
        tile = _to_image(kernel * 255).convert("RGB").resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(tile, (gap + index % 8 * cell, gap + index // 8 * cell))
    return sheet


def in_color(made: Reconstruction) -> dict[str, Tensor]:
    """Return the low, bicubic, espcn and original versions of a picture in colour.

    Args:
        made: The picture in all its versions.

    Returns:
        Pictures `(3, height, width)`, or `(1, height, width)` without colours, 0..255, by name.
    """
    luma = {
        "low": made.low, "bicubic": made.bicubic, "espcn": made.output, "original": made.original
    }  # fmt: skip
    if made.is_grey or made.colors is None or made.low_colors is None:
        return {kind: y[None] for kind, y in luma.items()}
    low = to_ycbcr(made.low_colors)[1:]
    large = imresize(low, *made.original.shape[-2:])
    colored = {
        kind: from_ycbcr(torch.cat([y[None], low if kind == "low" else large]))
        for kind, y in luma.items()
    }
    colored["original"] = made.colors
    if len(made.raw) == 3:
        colored["espcn"] = made.raw
    return colored


def _to_image(picture: Tensor) -> Image.Image:
    values = quantize(picture.double()).to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def _side_by_side(panels: list[tuple[str, Tensor]], gap: int = 8) -> Image.Image:
    """Put titled pictures of one size into a row; into two rows where they are wide."""
    images = [_to_image(picture).convert("RGB") for _, picture in panels]
    width, height = images[0].size
    size = max(12, min(24, width // 16))
    columns = 4 if height > width / 2 else 2
    rows = -(-len(images) // columns)
    cell = (width + gap, height + gap + size + gap)
    sheet = Image.new("RGB", (columns * cell[0] + gap, rows * cell[1] + gap), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    for index, (title, _) in enumerate(panels):
        left, top = gap + index % columns * cell[0], gap + index // columns * cell[1]
        draw.text((left, top), title, fill="black", font=font)
        sheet.paste(images[index], (left, top + size + gap))
    return sheet


def _save(path: Path, image: Image.Image) -> None:
    with atomic_write(path) as part:
        image.save(part, format="PNG")
