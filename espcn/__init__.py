"""ESPCN: real-time super-resolution by an efficient sub-pixel convolutional network (CVPR 2016).

Upscale a picture, a NumPy array `(height, width)` or `(height, width, 1 to 4)` of uint8, uint16 or
floats of 0 to 1:

    from espcn import Upscaler
    upscale = Upscaler(r=3)
    large = upscale(picture)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["ESPCN", "Degradation", "Upscaler", "load", "psnr", "ssim"]

if TYPE_CHECKING:
    from espcn.imaging.degradation import Degradation
    from espcn.imaging.metrics import psnr, ssim
    from espcn.network.model import ESPCN
    from espcn.network.weights import load
    from espcn.upscaling.upscaler import Upscaler

# Loaded when they are first asked for: `import espcn` and every `--help` stay free of PyTorch.
_WHERE = {
    "Degradation": "espcn.imaging.degradation",
    "ESPCN": "espcn.network.model",
    "Upscaler": "espcn.upscaling.upscaler",
    "load": "espcn.network.weights",
    "psnr": "espcn.imaging.metrics",
    "ssim": "espcn.imaging.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
