"""PSNR and SSIM as defined in the super-resolution benchmark protocol.

Both compare whole grey levels, 0..255, after a crop of r pixels from each border, one picture at a
time; a set's figure is the mean over its pictures. The defaults of torchmetrics differ: they pool
the squared error of a whole set.
"""

from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

PEAK = 255.0


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
        border: Number of pixels to crop from each side.

    Returns:
        A view of the cropped picture.
    """
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def psnr(picture: Tensor, reference: Tensor) -> float:
    """Return the peak signal-to-noise ratio of two pictures, for a peak of 255.

    Args:
        picture: Grey levels, 0..255, of any shape.
        reference: The picture to compare with, of the same shape.

    Returns:
        dB; infinite for equal pictures.
    """
    ratio = peak_signal_noise_ratio(picture.double(), reference.double(), data_range=PEAK)
    return float(ratio)


def ssim(picture: Tensor, reference: Tensor) -> float:
    """Return the structural similarity (Wang et al. 2004) of two pictures.

    The window is an 11x11 Gaussian of sigma 1.5; the figure is the mean over the places where it
    lies within the picture. (torchmetrics includes the mirrored border, which differs by 0.0005 on
    Set5.)

    Args:
        picture: `(height, width)`, 0..255.
        reference: The picture to compare with, of the same shape.

    Returns:
        A similarity of -1 to 1; 1 for equal pictures.
    """
    return float(
        structural_similarity(
            picture.double().numpy(),
            reference.double().numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=PEAK,
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
    return min(height, width) // r * r - 2 * r >= 11
