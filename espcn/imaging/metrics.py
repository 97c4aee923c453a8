"""PSNR and SSIM as the benchmark protocol of super-resolution means them.

Both compare whole grey levels, 0..255, after a crop of r pixels from each border, one picture at a
time; a set's figure is the mean over its pictures. torchmetrics' own defaults differ: they pool
the squared error of a whole set.
"""

from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

PEAK = 255.0


def quantize(picture: Tensor) -> Tensor:
    """Clip and round a picture in 0..255 to whole grey levels, as writing it to a file would."""
    return picture.round().clamp(0, 255)


def crop_border(picture: Tensor, border: int) -> Tensor:
    """Leave out `border` pixels on each side of `(..., height, width)`."""
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def psnr(picture: Tensor, reference: Tensor) -> float:
    """Give the peak signal-to-noise ratio in dB, of peak 255; infinite for equal pictures."""
    ratio = peak_signal_noise_ratio(picture.double(), reference.double(), data_range=PEAK)
    return float(ratio)


def ssim(picture: Tensor, reference: Tensor) -> float:
    """Give the structural similarity (Wang et al. 2004) of two pictures `(height, width)`, 0..255.

    An 11x11 Gaussian window of sigma 1.5; the mean over the places where it lies within the
    picture. (torchmetrics takes the mean over the mirrored border too, 0.0005 off on Set5.)
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
    """Say whether a picture leaves SSIM's 11x11 window room once cropped; smaller is no score."""
    return min(height, width) // r * r - 2 * r >= 11
