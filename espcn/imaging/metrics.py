"""PSNR and SSIM as defined in the super-resolution benchmark protocol.

The protocol compares whole grey levels, 0..255, after a crop of r pixels from each border, one
picture at a time; a set's figure is the mean over its pictures. The defaults of torchmetrics
differ: they pool the squared error of a whole set.

Both require the range: with the wrong one PSNR is off by 48 dB, and looks plausible.
"""

from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from espcn import checks

PEAK = 255.0  # the range of grey levels
WINDOW = 11  # pixels on each side of SSIM's window


def quantize(picture: Tensor) -> Tensor:
    """Clip and round a picture to whole grey levels, as writing it to a file would.

    Args:
        picture: Grey levels, 0..255, of any shape.

    Returns:
        Whole grey levels, 0..255.
    """
    return picture.round().clamp(0, 255)


def crop_border(picture: Tensor, border: int) -> Tensor:
    """Crop pixels from each side.

    Args:
        picture: `(..., height, width)`.
        border: Number of pixels to crop from each side, less than half of the shorter one.

    Returns:
        A view of the cropped picture.

    Raises:
        ValueError: `border` is negative, not whole, or too large.
    """
    checks.integer("border", border, 0, "0 crops nothing")
    height, width = picture.shape[-2:]
    if border and 2 * border >= min(height, width):
        raise ValueError(
            f"`border` (={border}) must leave a pixel of `picture`, got {(height, width)}: take a "
            "larger picture, or crop less"
        )
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def psnr(picture: Tensor, reference: Tensor, *, data_range: float) -> float:
    """Return the peak signal-to-noise ratio of two pictures.

    Args:
        picture: A picture of any shape, on any device.
        reference: The picture to compare with, of the same shape.
        data_range: White less black: 255 for grey levels, 1 for pictures of 0..1.

    Returns:
        dB; infinite for equal pictures.

    Raises:
        ValueError: The shapes differ, or `data_range` is not above 0.
    """
    one, other = _comparable(picture, reference, data_range)
    return float(peak_signal_noise_ratio(one, other, data_range=float(data_range)))


def ssim(picture: Tensor, reference: Tensor, *, data_range: float) -> float:
    """Return the structural similarity (Wang et al. 2004) of two pictures.

    The window is an 11x11 Gaussian of sigma 1.5; the figure is the mean over the places where it
    lies within the picture. (torchmetrics includes the mirrored border, which differs by 0.0005 on
    Set5.)

    Args:
        picture: `(height, width)`, both at least 11, on any device.
        reference: The picture to compare with, of the same shape.
        data_range: White less black: 255 for grey levels, 1 for pictures of 0..1.

    Returns:
        A similarity of -1 to 1; 1 for equal pictures.

    Raises:
        ValueError: A picture has more axes or is smaller than the window, the shapes differ, or
            `data_range` is not above 0.
    """
    one, other = _comparable(picture, reference, data_range)
    if one.ndim != 2 or min(one.shape) < WINDOW:
        raise ValueError(
            f"`picture` must be (height, width), both at least {WINDOW}, got {tuple(one.shape)}: "
            "take one channel at a time, of larger pictures"
        )
    return float(
        structural_similarity(
            one.numpy(),
            other.numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=float(data_range),
        )
    )


def is_scorable(height: int, width: int, r: int) -> bool:
    """Return whether a picture is large enough for SSIM's 11x11 window after cropping.

    Args:
        height: The picture's height in pixels.
        width: The picture's width in pixels.
        r: The factor, which is also the width of the cropped border.

    Returns:
        Whether it is; smaller pictures are not scored.
    """
    return min(height, width) // r * r - 2 * r >= WINDOW


def _comparable(picture: Tensor, reference: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Return both pictures in float64 on the CPU, which not every device computes in."""
    checks.number(
        "data_range", data_range, "255 for grey levels, 1 for pictures of 0 to 1", above=0
    )
    if picture.shape != reference.shape:
        raise ValueError(
            "`picture` and `reference` must have the same shape, got "
            f"{tuple(picture.shape)} and {tuple(reference.shape)}: crop or reshape one of them"
        )
    return picture.detach().cpu().double(), reference.detach().cpu().double()
