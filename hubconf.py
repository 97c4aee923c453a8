"""The entry points for PyTorch Hub: `torch.hub.load(REPO, "espcn", r=3)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espcn.network.model import ESPCN

# As they are imported. Hub looks for them only once it has imported this file, which must therefore
# import none of them itself.
dependencies = ["numpy", "safetensors", "torch"]


def espcn(r: int = 3, pretrained: bool = True, compression: int | None = None) -> "ESPCN":
    """Return the network, in evaluation mode on the CPU.

    It takes luma, BT.601 in limited range (16 to 235) divided by 255, as float32 `(batch, 1,
    height, width)`, and returns it r times as high and wide, not rounded. Borders are replicated,
    so that nothing is lost there. For colour pictures, see `upscaler`.

    Args:
        r: The factor, 2, 3 or 4.
        pretrained: Whether to load the shipped weights; otherwise the weights are random.
        compression: The JPEG quality of the sources that the weights should suit, 1 to 100; by
            default clean sources.

    Returns:
        The network.

    Raises:
        ValueError: There are no weights for this factor, or `compression` is invalid or given
            without `pretrained`.
    """
    from espcn.network.model import ESPCN
    from espcn.network.strengths import CLEAN, given_strength, load_strength

    if not pretrained and compression is not None:
        raise ValueError(
            f"`compression` (={compression}) must be left out with `pretrained` (=False): it "
            "chooses among the shipped weights"
        )
    if not pretrained:
        return ESPCN(r).eval()
    return load_strength(r, CLEAN if compression is None else given_strength(r, compression))


def upscaler(r: int = 3, **options: Any) -> Any:
    """Return an upscaler for pictures: arrays, tensors, PIL pictures, paths.

    Args:
        r: The factor, 2, 3 or 4.
        **options: Options of `espcn.Upscaler`, which also needs Pillow, PyAV and pyvips.

    Returns:
        An `espcn.Upscaler`.
    """
    from espcn.upscaling.upscaler import Upscaler

    return Upscaler(r, **options)
