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
__all__ = [
    "ESPCN",
    "SOAP",
    "Degradation",
    "PatchData",
    "SuperResolution",
    "Upscaler",
    "imresize",
    "load",
    "load_set",
    "preshuffle",
    "psnr",
    "shuffle",
    "ssim",
    "upscale_picture",
    "upscale_video",
]

if TYPE_CHECKING:
    from espcn.data.datamodule import PatchData
    from espcn.data.datasets import load_set
    from espcn.imaging.degradation import Degradation
    from espcn.imaging.metrics import psnr, ssim
    from espcn.imaging.resize import imresize
    from espcn.imaging.shuffle import preshuffle, shuffle
    from espcn.network.model import ESPCN
    from espcn.network.weights import load
    from espcn.training.lightning_module import SuperResolution
    from espcn.training.soap import SOAP
    from espcn.upscaling.picture import upscale_picture
    from espcn.upscaling.upscaler import Upscaler
    from espcn.video.pipeline import upscale_video

# Loaded when they are first asked for: `import espcn` and every `--help` stay free of PyTorch.
_WHERE = {
    "Degradation": "espcn.imaging.degradation",
    "ESPCN": "espcn.network.model",
    "PatchData": "espcn.data.datamodule",
    "SOAP": "espcn.training.soap",
    "SuperResolution": "espcn.training.lightning_module",
    "Upscaler": "espcn.upscaling.upscaler",
    "imresize": "espcn.imaging.resize",
    "load": "espcn.network.weights",
    "load_set": "espcn.data.datasets",
    "preshuffle": "espcn.imaging.shuffle",
    "psnr": "espcn.imaging.metrics",
    "shuffle": "espcn.imaging.shuffle",
    "ssim": "espcn.imaging.metrics",
    "upscale_picture": "espcn.upscaling.picture",
    "upscale_video": "espcn.video.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
