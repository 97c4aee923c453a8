"""Pictures of an evaluation, for people to look at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from espcn.color import from_ycbcr, to_channels, to_ycbcr
from espcn.degrade import crop_to_multiple, degrade, imresize
from espcn.evaluation import Score, Upscaled
from espcn.files import whole_file
from espcn.metrics import psnr, quantize


def save_pictures(
    folder: Path, pixels: np.ndarray, done: Upscaled, scored: Score, r: int,
    blur: float, downsample: str,
) -> None:  # fmt: skip
    """Write NAME_low, _bicubic, _espcn, _original and the side-by-side NAME_compare, all PNG.

    A luma network's pictures are coloured by the chroma of the low-resolution picture, upscaled
    bicubically, under the very luma that was scored. The side-by-side gives each one's PSNR.
    """
    versions = _in_color(pixels, done, r, blur, downsample)
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(scored.name).stem
    for kind, picture in versions.items():
        _save(folder / f"{stem}_{kind}.png", _to_image(picture))
    enlarged = versions["low"].repeat_interleave(r, -2).repeat_interleave(r, -1)
    low = done.low.repeat_interleave(r, -2).repeat_interleave(r, -1)
    panels = [
        (f"low resolution {psnr(low, done.original):.2f} dB", enlarged),
        (f"bicubic {scored.bicubic_psnr:.2f} dB", versions["bicubic"]),
        (f"ESPCN {scored.psnr:.2f} dB", versions["espcn"]),
        ("original", versions["original"]),
    ]
    _save(folder / f"{stem}_compare.png", _side_by_side(panels))


def _in_color(
    pixels: np.ndarray, done: Upscaled, r: int, blur: float, downsample: str
) -> dict[str, Tensor]:
    luma = {
        "low": done.low, "bicubic": done.bicubic, "espcn": done.output, "original": done.original
    }  # fmt: skip
    if pixels.shape[-1] < 3:
        return {kind: y[None] for kind, y in luma.items()}
    original = crop_to_multiple(to_channels(pixels, 3), r)
    chroma = quantize(to_ycbcr(original))[1:]
    low = degrade(chroma.to(torch.uint8), r, blur, downsample).double()
    large = imresize(low, *original.shape[-2:])
    colored = {
        kind: from_ycbcr(torch.cat([y[None], low if kind == "low" else large]))
        for kind, y in luma.items()
    }
    colored["original"] = original
    if len(done.raw) == 3:
        colored["espcn"] = done.raw
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
    with whole_file(path) as part:
        image.save(part, format="PNG")
