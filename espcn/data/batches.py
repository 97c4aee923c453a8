"""Whole batches of patches, and the order in which an epoch shows them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from espcn.data.patches import Patches, PatchSubset


class Batches(Dataset):
    """Whole batches of patches, indexed by the indices of a batch and its orientation.

    Args:
        patches: The patches.
        r: The factor, needed to orient the targets.
    """

    def __init__(self, patches: Patches | PatchSubset, r: int) -> None:
        self.patches, self.r = patches, r

    def __getitem__(self, key: tuple[Tensor, int]) -> tuple[Tensor, Tensor]:
        indices, symmetry = key
        batch = self.patches.select(indices).flipped(self.r, symmetry)
        return batch.low, batch.target


class EpochOrder(Sampler):
    """The order of an epoch: the indices of each batch and its orientation.

    Both depend only on the seed and the epoch, so that a resumed run sees the same. The last
    patches, which do not fill a batch, are dropped from this epoch: a small batch would count as
    much as a full one.

    Args:
        count: Number of patches.
        batch_size: Patches per step, over all processes together.
        augment: Choose one of the 8 orientations at random for each batch.
        seed: Any whole number of at least 0.
        share: Rank and world size: each process takes its part of the same batches.

    Raises:
        ValueError: The processes can't share a batch equally.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        augment: bool,
        seed: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.count, self.batch_size = count, min(batch_size, count)
        if self.batch_size % share[1]:  # the mean of unequal parts is not that of the whole
            raise ValueError(
                f"`batch_size` (={self.batch_size}, of {count} patches) must be a multiple of the "
                f"number of processes ({share[1]}), which share each batch: take {share[1]}, say"
            )
        self.augment, self.seed, self.share, self.epoch = augment, seed, share, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before each.

        Args:
            epoch: Its number, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        # PyTorch's generator looks at 32 bits of a seed: both numbers must be mixed into them.
        mixed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(mixed)
        order = torch.randperm(self.count, generator=generator)
        symmetries = torch.randint(8, (len(self),), generator=generator)
        if not self.augment:
            symmetries.zero_()
        batches = order[: len(self) * self.batch_size].split(self.batch_size)
        number, count = self.share
        for batch, symmetry in zip(batches, symmetries.tolist(), strict=True):
            yield batch[number::count], symmetry
