"""From pictures to preshuffled patches, held as whole tensors.

"we randomly extract 17r x 17r pixel sub-images from the training images ... with a stride of
(17 - sum of mod(f, 2)) r = 14 r" (Shi et al. 2016, section 3.2). Sizes here are in low-resolution
pixels: a patch of 17 is a target of 17r x 17r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from espcn.degrade import crop_to_multiple, degrade
from espcn.shuffle import flip, flip_preshuffled, preshuffle


@dataclass(frozen=True)
class Patches:
    """Low-resolution patches and their preshuffled targets.

    `low` is uint8 `(n, channels, patch + 2 halo, patch + 2 halo)`, `target` uint8
    `(n, channels r^2, patch, patch)`, and `owner` int64 `(n,)`, the index of each one's image.
    """

    low: Tensor
    target: Tensor
    owner: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    def select(self, chosen: Tensor) -> "Patches":
        """Give the patches at the indices, or under the mask, `chosen`."""
        return Patches(self.low[chosen], self.target[chosen], self.owner[chosen])

    def among(self, mask: Tensor) -> "Patches":
        """Give the patches under a mask."""
        return self.select(mask)

    def flipped(self, r: int, symmetry: int) -> "Patches":
        """Give all patches mirrored or transposed alike; see `espcn.shuffle.flip`."""
        target = flip_preshuffled(self.target, r, symmetry)
        return Patches(flip(self.low, symmetry), target, self.owner)


@dataclass(frozen=True)
class Chosen:
    """Some patches in an order of their own, taken out only when they are asked for."""

    patches: Patches
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def low(self) -> Tensor:
        """All low-resolution patches, taken out."""
        return self.patches.low[self.indices]

    @property
    def target(self) -> Tensor:
        """All targets, taken out."""
        return self.patches.target[self.indices]

    @property
    def owner(self) -> Tensor:
        """The index of each one's image."""
        return self.patches.owner[self.indices]

    def select(self, chosen: Tensor) -> Patches:
        """Give the patches at the indices `chosen`, counted within these."""
        return self.patches.select(self.indices[chosen])

    def among(self, mask: Tensor) -> "Chosen":
        """Give those under a mask, without taking them out."""
        return Chosen(self.patches, self.indices[mask])


def cut(
    images: list[Tensor],
    r: int,
    blur: float,
    downsample: str,
    patch: int,
    stride: int,
    halo: int,
    each: bool = False,
) -> Patches:
    """Cut every image, uint8 `(channels, height, width)`, into patches of `patch` every `stride`.

    Each patch carries `halo` low-resolution pixels of real context on each side, which only beyond
    the image's own border are repeated ones, as in the network. An image too small for a patch
    gives none. With `each`, every target is degraded on its own, as the notebook did: what lies
    beyond its border is then mirrored instead of seen.
    """
    low, target, owner = [], [], []
    for index, image in enumerate(images):
        image = crop_to_multiple(image, r)
        if min(image.shape[-2:]) < patch * r:
            continue
        targets = _windows(preshuffle(image, r), patch, stride)
        if each:
            small = degrade(_windows(image, patch * r, stride * r), r, blur, downsample)
            lows = F.pad(small.float(), [halo] * 4, mode="replicate").to(torch.uint8)
        else:
            small = degrade(image, r, blur, downsample)
            small = F.pad(small.float(), [halo] * 4, mode="replicate").to(torch.uint8)
            lows = _windows(small, patch + 2 * halo, stride)
        low.append(lows)
        target.append(targets)
        owner.append(torch.full((len(targets),), index))
    if not low:
        channels = images[0].shape[0] if images else 1
        size = patch + 2 * halo
        return Patches(
            torch.empty(0, channels, size, size, dtype=torch.uint8),
            torch.empty(0, channels * r * r, patch, patch, dtype=torch.uint8),
            torch.empty(0, dtype=torch.int64),
        )
    return Patches(torch.cat(low), torch.cat(target), torch.cat(owner))


def patches_in(height: int, width: int, r: int, patch: int, stride: int) -> int:
    """Give how many patches `cut` makes of a picture of this size."""
    high, wide = ((side // r - patch) // stride + 1 for side in (height, width))
    return max(high, 0) * max(wide, 0)


def join(parts: Sequence[Patches | Chosen]) -> Patches | Chosen:
    """Give all patches of several lots, cut alike, as one; their owners are those of each lot.

    They are all held, or all chosen from the same patches.
    """
    first = parts[0]
    if isinstance(first, Chosen):
        indices = [part.indices for part in parts if isinstance(part, Chosen)]
        return Chosen(first.patches, torch.cat(indices))
    columns = zip(*((part.low, part.target, part.owner) for part in parts), strict=True)
    return Patches(*(torch.cat(column) for column in columns))


def rescale(image: Tensor, scale: float) -> Tensor:
    """Give an image, uint8 `(channels, height, width)`, at `scale` of its size, by bicubic."""
    if scale == 1:
        return image
    size = [max(1, round(length * scale)) for length in image.shape[-2:]]
    scaled = F.interpolate(image[None].float(), size, mode="bicubic", antialias=True)
    return scaled[0].round().clamp(0, 255).to(torch.uint8)


def _windows(image: Tensor, size: int, stride: int) -> Tensor:
    """Give all windows of `(channels, height, width)`: `(n, channels, size, size)`, row by row."""
    windows = image.unfold(1, size, stride).unfold(2, size, stride)
    return windows.permute(1, 2, 0, 3, 4).reshape(-1, len(image), size, size)
