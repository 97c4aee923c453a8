"""Cut pictures into patches with preshuffled targets.

"we randomly extract 17r x 17r pixel sub-images from the training images ... with a stride of
(17 - sum of mod(f, 2)) r = 14 r" (Shi et al. 2016, section 3.2). Sizes here are in low-resolution
pixels: a patch of 17 is a target of 17r x 17r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from espcn import checks
from espcn.imaging.compression import is_studio_range
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.shuffle import flip, flip_preshuffled, preshuffle

MAX_SCALE = 2


@dataclass(frozen=True)
class Recipe:
    """How images are cut into patches, in memory and on disk. Lengths are low-resolution pixels.

    Attributes:
        r: The upscaling factor.
        channels: 1 for luma, 3 for RGB.
        degradation: How the low-resolution patches are made.
        patch: Side of a patch without its context; its target has a side of `patch * r` pixels.
        stride: Distance between neighbouring patches.
        halo: Context on each side of a patch, as needed for the network's receptive field.
        per_patch: Degrade each target separately, as the notebook does, instead of the whole image.
        scales: Sizes at which each image is cut, as fractions of its size, above 0 and at most 2.
            Above 1 an image has no more detail, but is soft, as videos are.
        seed: Seed of a random degradation, combined with a hash of each picture.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    r: int = 3
    channels: int = 1
    degradation: Degradation = BENCHMARK
    patch: int = 17
    stride: int = 14
    halo: int = 4
    per_patch: bool = False
    scales: Sequence[float] = (1.0,)
    seed: int = 0

    def __post_init__(self) -> None:
        checks.integer("r", self.r, 2, "choose 2, 3 or 4")
        checks.integer("data.patch", self.patch, 1, "the paper uses 17")
        checks.integer("data.stride", self.stride, 1, "the paper uses 14")
        if not isinstance(self.scales, Sequence) or isinstance(self.scales, str) or not self.scales:
            raise ValueError(
                f"`data.scales` (={self.scales}) must be a list: [1.0] is the original size alone"
            )
        for scale in self.scales:
            checks.number("data.scales", scale, "a fraction of the size, such as 0.8", above=0)
            if scale > MAX_SCALE:
                raise ValueError(
                    f"`data.scales` (={scale}) must be at most {MAX_SCALE}: an image has no detail "
                    "beyond its own size"
                )
        object.__setattr__(self, "scales", tuple(map(float, self.scales)))

    def count(self, height: int, width: int) -> int:
        """Return the number of patches that `cut` makes of an image.

        Args:
            height: The image's height in pixels.
            width: The image's width in pixels.

        Returns:
            The number of patches.
        """
        high, wide = ((n // self.r - self.patch) // self.stride + 1 for n in (height, width))
        return max(high, 0) * max(wide, 0)


@dataclass(frozen=True)
class Patches:
    """Low-resolution patches and their preshuffled targets.

    Attributes:
        low: uint8 `(n, channels, patch + 2 halo, patch + 2 halo)`.
        target: uint8 `(n, channels r^2, patch, patch)`.
        owner: int64 `(n,)`, the index of each patch's image.
    """

    low: Tensor
    target: Tensor
    owner: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    def select(self, chosen: Tensor) -> "Patches":
        """Return some of the patches.

        Args:
            chosen: Indices, or a mask.

        Returns:
            The chosen patches.
        """
        return Patches(self.low[chosen], self.target[chosen], self.owner[chosen])

    def subset(self, mask: Tensor) -> "Patches":
        """Return the patches under a mask.

        Args:
            mask: bool `(n,)`.

        Returns:
            The chosen patches.
        """
        return self.select(mask)

    def flipped(self, r: int, symmetry: int) -> "Patches":
        """Return all patches, each flipped or transposed in the same way.

        Args:
            r: The upscaling factor.
            symmetry: See `espcn.imaging.shuffle.flip`.

        Returns:
            The patches and their targets in the new orientation.
        """
        target = flip_preshuffled(self.target, r, symmetry)
        return Patches(flip(self.low, symmetry), target, self.owner)


@dataclass(frozen=True)
class PatchSubset:
    """A selection of patches in a given order, copied only on access.

    Attributes:
        patches: All patches.
        indices: int64 `(n,)`, the chosen ones.
    """

    patches: Patches
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def low(self) -> Tensor:
        """The low-resolution patches, copied."""
        return self.patches.low[self.indices]

    @property
    def target(self) -> Tensor:
        """The targets, copied."""
        return self.patches.target[self.indices]

    @property
    def owner(self) -> Tensor:
        """The index of each patch's image."""
        return self.patches.owner[self.indices]

    def select(self, chosen: Tensor) -> Patches:
        """Return some of the patches.

        Args:
            chosen: Indices within this subset.

        Returns:
            The chosen patches, copied.
        """
        return self.patches.select(self.indices[chosen])

    def subset(self, mask: Tensor) -> "PatchSubset":
        """Return the patches under a mask, without copying them.

        Args:
            mask: bool `(n,)`.

        Returns:
            A smaller subset.
        """
        return PatchSubset(self.patches, self.indices[mask])


def cut(images: Sequence[Tensor], recipe: Recipe, scale: float = 1.0) -> Patches:
    """Cut images into patches at one scale.

    Each patch includes its context. Border pixels are replicated beyond the image, as in the
    network; with `recipe.per_patch`, beyond each target. An image that is too small for a patch is
    skipped.

    Args:
        images: uint8 `(channels, height, width)` each, of any sizes, not resized yet.
        recipe: How they are cut; its `scales` are ignored.
        scale: The fraction of their size at which they are cut.

    Returns:
        The patches, ordered by image, then by row, then by column.
    """
    r, patch, stride, halo = recipe.r, recipe.patch, recipe.stride, recipe.halo
    low, target, owner = [], [], []
    for index, image in enumerate(images):
        # Of the whole image: a part may lack the extremes, and resizing overshoots them.
        full_range = not is_studio_range(image)
        image = crop_to_multiple(rescale(image, scale), r)
        if min(image.shape[-2:]) < patch * r:
            continue
        targets = _windows(preshuffle(image, r), patch, stride)
        if recipe.per_patch:
            windows = _windows(image, patch * r, stride * r)
            lows = _with_halo(recipe.degradation(windows, r, recipe.seed, full_range), halo)
        else:
            small = recipe.degradation(image, r, recipe.seed, full_range)
            lows = _windows(_with_halo(small, halo), patch + 2 * halo, stride)
        low.append(lows)
        target.append(targets)
        owner.append(torch.full((len(targets),), index))
    if not low:
        channels, size = recipe.channels, patch + 2 * halo
        return Patches(
            torch.empty(0, channels, size, size, dtype=torch.uint8),
            torch.empty(0, channels * r * r, patch, patch, dtype=torch.uint8),
            torch.empty(0, dtype=torch.int64),
        )
    return Patches(torch.cat(low), torch.cat(target), torch.cat(owner))


def join(parts: Sequence[Patches | PatchSubset]) -> Patches | PatchSubset:
    """Concatenate patches cut with the same recipe; owner indices are unchanged.

    Args:
        parts: Either all `Patches`, or all subsets of the same patches.

    Returns:
        The patches of all parts.
    """
    first = parts[0]
    if isinstance(first, PatchSubset):
        indices = [part.indices for part in parts if isinstance(part, PatchSubset)]
        return PatchSubset(first.patches, torch.cat(indices))
    columns = zip(*((part.low, part.target, part.owner) for part in parts), strict=True)
    return Patches(*(torch.cat(column) for column in columns))


def rescale(image: Tensor, scale: float) -> Tensor:
    """Resize an image by bicubic interpolation with antialiasing.

    Args:
        image: uint8 `(channels, height, width)`.
        scale: Fraction of its size, above 0; 1 returns the image unchanged.

    Returns:
        uint8, at least one pixel high and wide.
    """
    if scale == 1:
        return image
    size = [max(1, round(length * scale)) for length in image.shape[-2:]]
    scaled = F.interpolate(image[None].float(), size, mode="bicubic", antialias=True)
    return scaled[0].round().clamp(0, 255).to(torch.uint8)


def _windows(image: Tensor, size: int, stride: int) -> Tensor:
    """Return all windows of an image, `(n, channels, size, size)`, row by row."""
    windows = image.unfold(1, size, stride).unfold(2, size, stride)
    return windows.permute(1, 2, 0, 3, 4).reshape(-1, len(image), size, size)


def _with_halo(pictures: Tensor, halo: int) -> Tensor:
    """Pad uint8 `(..., height, width)` on each side with replicated border pixels."""
    return F.pad(pictures.float(), [halo] * 4, mode="replicate").to(torch.uint8)
