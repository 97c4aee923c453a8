"""Whole batches of patches, and the order in which an epoch shows them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from espcn.data.patches import Patches, PatchSubset


class Batches(Dataset):
    """Whole batches of patches: indexed by a batch's indices and its orientation."""

    def __init__(self, patches: Patches | PatchSubset, r: int) -> None:
        self.patches, self.r = patches, r

    def __getitem__(self, key: tuple[Tensor, int]) -> tuple[Tensor, Tensor]:
        indices, symmetry = key
        batch = self.patches.select(indices).flipped(self.r, symmetry)
        return batch.low, batch.target


class EpochOrder(Sampler):
    """The order of an epoch: a batch's indices and its orientation, from the seed and the epoch.

    The last patches that fill no batch are left out until they come earlier in another epoch; a
    small batch would weigh as much as a whole one. `share` is the number of this process and the
    count of all: each takes its part of the same batches, of which `batch_size` is the whole.
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
                f"{share[1]} processes, which share each batch: make it one"
            )
        self.augment, self.seed, self.share, self.epoch = augment, seed, share, 0

    def set_epoch(self, epoch: int) -> None:
        """Take note of the epoch, from 0; Lightning calls this before each."""
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
