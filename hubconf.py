"""What PyTorch Hub loads from here: `torch.hub.load(REPO, "espcn", r=3)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espcn.network.model import ESPCN

# As they are imported. Hub looks for them only once it has imported this file, which must therefore
# import none of them itself.
dependencies = ["PIL", "av", "numpy", "safetensors", "skimage", "torch"]


def espcn(r: int = 3, pretrained: bool = True, compression: int | None = None) -> "ESPCN":
    """Return the network, in evaluation mode on the CPU.

    It takes luma, BT.601 in studio range divided by 255, as float32 `(batch, 1, height, width)`,
    and returns it r times as high and wide, not rounded. Borders are replicated, so that nothing is
    lost there. For pictures as they are, in colour, see `upscaler`.

    Args:
        r: The factor, 2, 3 or 4.
        pretrained: Whether it has the shipped weights; else it has random ones, to be trained.
        compression: For which compressed sources its weights are, as the quality of a JPEG, 1 to
            100; by default for clean ones.

    Returns:
        The network.

    Raises:
        ValueError: There are no weights for this factor, or `compression` is no quality or given
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
        return ESPCN(r)
    return load_strength(r, CLEAN if compression is None else given_strength(r, compression))


def upscaler(r: int = 3, **options: Any) -> Any:
    """Return what upscales pictures: arrays, tensors, PIL pictures, paths.

    Args:
        r: The factor, 2, 3 or 4.
        **options: As `espcn.Upscaler` takes them. It wants pyvips as well.

    Returns:
        An `espcn.Upscaler`.
    """
    from espcn.upscaling.upscaler import Upscaler

    return Upscaler(r, **options)
