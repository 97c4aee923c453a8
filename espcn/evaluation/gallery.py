"""Pictures of an evaluation: results and side-by-side comparisons."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from espcn.evaluation.protocol import Reconstruction, Score
from espcn.imaging.color import from_ycbcr, to_ycbcr
from espcn.imaging.metrics import PEAK, crop_border, psnr, quantize
from espcn.imaging.resize import imresize
from espcn.io.atomic import atomic_write, make_folder, together


def save_pictures(path: Path, made: Reconstruction, scored: Score) -> None:
    """Write NAME_low, _bicubic, _espcn, _original and the side-by-side NAME_compare, all PNG.

    The pictures of a luma network combine the luma that was scored with the bicubically upscaled
    chroma of the low-resolution picture. The side-by-side shows the PSNR of each.

    Args:
        path: Where to write, without the suffix; its folder is created if missing.
        made: The picture in all its versions, in colour if it has colours.
        scored: Its name and figures.
    """
    make_folder(path.parent)
    with together():
        for kind, picture in in_color(made).items():
            save_image(path.with_name(f"{path.name}_{kind}.png"), to_image(picture))
        save_image(path.with_name(f"{path.name}_compare.png"), side_by_side(made, scored))


def side_by_side(made: Reconstruction, scored: Score) -> Image.Image:
    """Place a picture's versions side by side, each with its PSNR.

    Args:
        made: The picture in all its versions.
        scored: Its figures.

    Returns:
        An RGB image: low resolution, bicubic, the network's result, the original.
    """
    versions = in_color(made)
    r = made.original.shape[-1] // made.low.shape[-1]
    upscaled = versions["low"].repeat_interleave(r, -2).repeat_interleave(r, -1)
    low = crop_border(made.low.repeat_interleave(r, -2).repeat_interleave(r, -1), r)
    low_psnr = psnr(low, crop_border(made.original, r), data_range=PEAK)
    panels = [
        (f"low resolution {low_psnr:.2f} dB", upscaled),
        (f"bicubic {scored.bicubic_psnr:.2f} dB", versions["bicubic"]),
        (f"ESPCN {scored.psnr:.2f} dB", versions["espcn"]),
        ("original", versions["original"]),
    ]
    return _in_a_row(panels)


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


def to_image(picture: Tensor) -> Image.Image:
    """Convert a picture to a Pillow image.

    Args:
        picture: `(1 or 3, height, width)`, 0..255; clipped and rounded.

    Returns:
        A grey or an RGB image.
    """
    values = quantize(picture.double()).to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def save_image(path: Path, image: Image.Image) -> None:
    """Write an image as PNG; the file appears once it is complete.

    Args:
        path: The file.
        image: The image.
    """
    with atomic_write(path) as part:
        image.save(part, format="PNG")


def _in_a_row(panels: list[tuple[str, Tensor]], gap: int = 8) -> Image.Image:
    """Arrange titled pictures of one size in a row, or in two rows if they are wide."""
    images = [to_image(picture).convert("RGB") for _, picture in panels]
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
