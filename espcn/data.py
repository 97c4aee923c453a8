"""The LightningDataModule: preshuffled patches of a training set, and the images held out of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from espcn import checks
from espcn.cache import Recipe, cache_folder, prepare
from espcn.color import to_channels
from espcn.datasets import Files, load_training
from espcn.degrade import check_degradation
from espcn.patches import Chosen, Patches, cut, join, rescale

# The split belongs to the data, not to the run: runs of different seeds are judged on the same
# images, so that their difference is the training's.
SPLIT_SEED = 0
MOST_JUDGED = 100  # of the images held out of a folder: whole ones take longer than patches

AtScale = Callable[[float, Sequence[int], Any], Any]


class PatchData(pl.LightningDataModule):
    """Training and validation patches, cut and preshuffled once, held in memory or on disk.

    `source` is auto, t91, skimage or folder (then `path`), looked for under `data_dir`. A folder's
    patches are kept on disk under `cache`, see `espcn.cache`. `r`,
    `channels`, `blur` and `downsample` are the degradation's and the network's; `halo` its context
    in low-resolution pixels. `patch` and `stride` are in low-resolution pixels too. `scales` are
    the sizes, as shares of its own, at which each training image is shown; it is judged at 1 alone.

    `degrade` is `image`, or `patch` as in the notebook. `split` is `image`, so that overlapping
    patches never sit on both sides, or `patch`, as in the notebook. `val_fraction` of the images
    (patches) is held out; with `fold` (from 0) and `folds`, instead, the fold-th of so many equal
    parts. `augment` shows each batch in a random one of the 8 orientations. The order and the
    orientations follow from `seed` and the epoch alone, so that a resumed run sees the same.
    """

    def __init__(
        self,
        source: str = "auto",
        path: str | None = None,
        cache: str | None = None,
        data_dir: str | None = None,
        r: int = 3,
        channels: int = 1,
        blur: float = 0.0,
        downsample: str = "bicubic",
        halo: int = 4,
        patch: int = 17,
        stride: int = 14,
        scales: Sequence[float] = (1.0,),
        degrade: str = "image",
        split: str = "image",
        val_fraction: float = 0.1,
        fold: int | None = None,
        folds: int | None = None,
        augment: bool = True,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_degradation(r, blur, downsample)
        checks.whole("data.patch", patch, 1, "the paper takes 17")
        checks.whole("data.stride", stride, 1, "the paper takes 14")
        if not isinstance(scales, Sequence) or isinstance(scales, str) or not scales:
            raise ValueError(
                f"`data.scales` (={scales}) must be a list: [1.0] is the image as it is"
            )
        for scale in scales:
            checks.number("data.scales", scale, "a share of the image's size, say 0.8", above=0)
            checks.fraction(
                "data.scales", scale, "larger than itself an image has nothing to teach"
            )
        if not isinstance(augment, bool):
            raise ValueError(f"`data.augment` (={augment}) must be true or false")
        checks.choice("data.degrade", degrade, ("image", "patch"))
        checks.choice("data.split", split, ("image", "patch"))
        checks.fraction("data.val_fraction", val_fraction, "0.1 holds out a tenth, 0 nothing")
        checks.whole("batch_size", batch_size, 1, "the number of patches a step looks at")
        checks.whole("seed", seed, 0, "any such number will do, say 0")
        if val_fraction == 1 and folds is None:
            raise ValueError("`data.val_fraction` (=1) must leave something to train on: take 0.1")
        if (fold is None) != (folds is None):
            raise ValueError(
                f"`data.fold` (={fold}) and `data.folds` (={folds}) must be given together, say "
                "data.fold=0,1,2,3,4 data.folds=5 in a sweep"
            )
        if fold is not None:
            checks.whole("data.folds", folds, 2, "5 is usual")
            checks.whole("data.fold", fold, 0, "the folds are numbered from 0")
            if fold >= folds:  # type: ignore[operator]
                raise ValueError(
                    f"`data.fold` (={fold}) must be less than `data.folds` (={folds}): the folds "
                    "are numbered from 0"
                )
        self.source, self.path, self.cache, self.data_dir = source, path, cache, data_dir
        self.r, self.channels, self.blur, self.downsample = r, channels, blur, downsample
        self.halo, self.patch, self.stride, self.degrade = halo, patch, stride, degrade
        self.scales = tuple(scales)
        self.split, self.val_fraction, self.fold, self.folds = split, val_fraction, fold, folds
        self.augment, self.batch_size, self.seed = augment, batch_size, seed
        self.train_patches: Patches | Chosen | None = None

    def prepare(self) -> str:
        """Read, degrade, cut and split; return a line for people on which data these are.

        Sets `train_patches`, `val_patches` and `val_set`, the images that were held out, whole
        (with `split=patch`, those of which a patch was: most are trained on too). Raises a
        ValueError if no image has room for a patch.
        """
        self.images, line = load_training(self.source, self.data_dir, self.path)
        images = self.images.images
        whole: Any
        at_scale: AtScale
        whole, at_scale = (
            self._on_disk(images) if isinstance(images, Files) else self._in_memory(images)
        )
        used, size = len(whole.owner.unique()), self.patch * self.r
        if not used:
            raise ValueError(
                f"`data.patch` (={self.patch}) at `r` (={self.r}) must fit into an image, but none "
                f"of {len(images)} is {size} pixels high and wide: make it smaller"
            )
        if used < len(images):
            line += f"; {len(images) - used} images smaller than {size}x{size} left out"
        held_out = self._held_out(whole)
        self.val_patches, kept = whole.among(held_out), whole.among(~held_out)
        if not len(kept):
            raise ValueError(
                f"`data.val_fraction` (={self.val_fraction}) must leave something to train on: "
                f"there are only {used} images"
            )
        held = self.val_patches.owner.unique().tolist()
        if isinstance(images, Files):
            held = held[:MOST_JUDGED]
        self.val_set = replace(
            self.images,
            name="validation",
            names=[self.images.names[i] for i in held],
            images=images.among(held) if isinstance(images, Files) else [images[i] for i in held],
        )
        shown = kept.owner.unique().tolist()
        self.train_patches = join([at_scale(scale, shown, kept) for scale in self.scales])
        return line

    def setup(self, stage: str) -> None:
        """Prepare, if nobody has yet: Lightning calls this before it fits."""
        if self.train_patches is None:
            self.prepare()

    def _in_memory(self, images: Sequence[np.ndarray]) -> tuple[Patches, AtScale]:
        """Cut the images at their own size; give too how to have some of them at another."""
        tensors = [to_channels(image, self.channels) for image in images]

        def at_scale(scale: float, shown: Sequence[int], kept: Any) -> Patches:
            if scale == 1:
                return kept
            return self._cut([rescale(tensors[i], scale) for i in shown])

        return self._cut(tensors), at_scale

    def _on_disk(self, files: Files) -> tuple[Chosen, AtScale]:
        """Do the same for files, of which there may be very many."""
        scales = tuple(dict.fromkeys([1.0, *map(float, self.scales)]))
        recipe = Recipe(
            self.r, self.channels, float(self.blur), self.downsample, self.patch, self.stride,
            self.halo, scales, self.degrade == "patch",
        )  # fmt: skip
        store = prepare(files.paths, files.sizes, files.digests, recipe, cache_folder(self.cache))
        good = sorted(set(range(len(files))) - set(store.bad))

        def at_scale(scale: float, shown: Sequence[int], kept: Any) -> Chosen:
            if scale == 1:
                return kept
            return Chosen(store.patches, store.indices(shown, scales.index(scale)))

        return Chosen(store.patches, store.indices(good, 0)), at_scale

    def _cut(self, images: list[Tensor]) -> Patches:
        return cut(
            images,
            self.r,
            self.blur,
            self.downsample,
            self.patch,
            self.stride,
            self.halo,
            each=self.degrade == "patch",
        )

    def _held_out(self, patches: Patches | Chosen) -> Tensor:
        """Give the mask `(n,)` of the patches that are kept for validation."""
        owners = patches.owner.unique()
        count = len(owners) if self.split == "image" else len(patches)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(SPLIT_SEED))
        if self.fold is not None and self.folds is not None:
            if self.folds > count:
                raise ValueError(
                    f"`data.folds` (={self.folds}) must be at most the number of images ({count})"
                )
            chosen = order[self.fold :: self.folds]
        else:
            # At least one, where a fraction is asked for at all.
            chosen = order[: max(round(self.val_fraction * count), int(self.val_fraction > 0))]
        if self.split == "image":
            return torch.isin(patches.owner, owners[chosen])
        return torch.isin(torch.arange(count), chosen)

    def train_dataloader(self) -> DataLoader:
        """Give the batches of an epoch: pairs of uint8 tensors, as `Patches` holds them."""
        assert self.train_patches is not None
        order = EpochOrder(
            len(self.train_patches),
            self.batch_size,
            self.augment,
            self.seed,
            self._share(self.train_patches),
        )
        return DataLoader(Batches(self.train_patches, self.r), sampler=order, batch_size=None)

    def val_dataloader(self) -> DataLoader | list:
        """Give the held-out patches in large batches, in their order; nothing if there are none."""
        if not len(self.val_patches):
            return []
        number, count = self._share(self.val_patches)
        mine = torch.arange(len(self.val_patches))[number::count]
        order = [(index, 0) for index in mine.split(64)]
        return DataLoader(Batches(self.val_patches, self.r), sampler=order, batch_size=None)

    def _share(self, patches: Patches | Chosen) -> tuple[int, int]:
        """Give the number of this process and the count of all, who share the patches."""
        if self.trainer is None:
            return 0, 1
        number, count = self.trainer.global_rank, self.trainer.world_size
        if len(patches) < count:
            raise ValueError(
                f"{len(patches)} patches must be shared by {count} processes, which leaves some "
                "without any: take fewer processes or more images"
            )
        return number, count


class Batches(Dataset):
    """Whole batches of patches: indexed by a batch's indices and its orientation."""

    def __init__(self, patches: Patches | Chosen, r: int) -> None:
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
