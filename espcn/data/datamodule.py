"""The LightningDataModule: preshuffled patches of a training set, and the images held out of it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from espcn import checks
from espcn.data.batches import Batches, EpochOrder
from espcn.data.cache import cache_folder, prepare
from espcn.data.datasets import load_training
from espcn.data.image_set import LazyImages
from espcn.data.patches import Patches, PatchSubset, Recipe, cut, join
from espcn.data.split import Split
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK, Degradation

MAX_VALIDATION_IMAGES = 100  # of a folder's: whole images take longer than patches

AtScale = Callable[[float, Sequence[int], Any], Any]


class PatchData(pl.LightningDataModule):
    """Training and validation patches, cut and preshuffled once, held in memory or on disk.

    Args:
        source: Where images come from: `t91`, `t291` (T91 and BSD200), `skimage` (photographs in
            the scikit-image package), `auto` (T91, or those photographs if it is not available) or
            `folder`.
        path: The folder of your own pictures, for `folder`.
        cache: The folder in which the patches of `folder` are kept on disk; see
            `espcn.data.cache.cache_folder`.
        data_dir: The folder of the known image sets; by default `ESPCN_DATA`, or else `datasets`.
        r: The factor.
        channels: 1 for luma, 3 for RGB.
        degradation: How the low-resolution patches are made.
        halo: Context around each patch in low-resolution pixels, as the network needs it.
        patch: Side of a patch in low-resolution pixels.
        stride: Distance between neighbouring patches in low-resolution pixels.
        scales: Sizes at which each training image is used, as fractions of its size, above 0 and at
            most 2; above 1 the image is soft, as videos are. Validation uses the full size only.
        degrade: `image` degrades whole images, `patch` each patch on its own, as the notebook did.
        split: Hold out whole images (`image`), so that overlapping patches never sit on both sides,
            or single patches (`patch`), as the notebook did.
        val_fraction: The fraction held out for validation, 0 to 1; ignored with `folds`.
        fold: Which of `folds` equal parts is held out instead, from 0.
        folds: Number of such parts.
        augment: Show each batch in a random orientation, one of 8.
        batch_size: Patches per step, over all processes together.
        seed: Determines, with the epoch, the order and orientation of the patches; also the seed of
            a random degradation.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    def __init__(
        self,
        source: str = "auto",
        path: str | None = None,
        cache: str | None = None,
        data_dir: str | None = None,
        r: int = 3,
        channels: int = 1,
        degradation: Degradation = BENCHMARK,
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
        checks.choice("data.degrade", degrade, ("image", "patch"))
        self.recipe = Recipe(
            r, channels, degradation, patch, stride, halo, degrade == "patch", scales, seed
        )
        checks.truth("data.augment", augment)
        self.split = Split(split, val_fraction, fold, folds)
        checks.integer("batch_size", batch_size, 1, "the number of patches a step looks at")
        checks.integer("seed", seed, 0, "any such number will do, say 0")
        self.source, self.path, self.cache, self.data_dir = source, path, cache, data_dir
        self.augment, self.batch_size, self.seed = augment, batch_size, seed
        self.train_patches: Patches | PatchSubset | None = None

    def prepare(self) -> str:
        """Read, degrade, cut and split.

        Sets `train_patches`, the number of their images as `train_images`, `val_patches`, and
        `val_set`, the whole held-out images; for a folder at most 100 of them, evenly spaced. With
        `split=patch` those are the images of held-out patches, most of which are also trained on.

        Returns:
            A line that describes the images.

        Raises:
            ValueError: No image is large enough for a patch, at full size or at one of the scales,
                or nothing is left to train on.
        """
        self.images, line = load_training(self.source, self.data_dir, self.path)
        images = self.images.images
        whole: Any
        at_scale: AtScale
        unreadable = 0  # of which there has been a warning
        if isinstance(images, LazyImages):
            whole, at_scale, unreadable = self._on_disk(images)
        else:
            whole, at_scale = self._in_memory(images)
        recipe, used = self.recipe, len(whole.owner.unique())
        size = recipe.patch * recipe.r
        if not used:
            raise ValueError(
                f"`data.patch` (={recipe.patch}) at `r` (={recipe.r}) must fit into an image, "
                f"but none of {len(images)} is {size} pixels high and wide: make it smaller"
            )
        small = len(images) - unreadable - used
        if small:
            line += f"; {small} image{'s' * (small > 1)} smaller than {size}x{size} left out"
        held_out = self.split.held_out(whole)
        self.val_patches, kept = whole.subset(held_out), whole.subset(~held_out)
        if not len(kept):
            raise ValueError(
                f"`data.val_fraction` (={self.split.val_fraction}) must leave something to train "
                f"on, but there {'is' if used == 1 else 'are'} only {used} "
                f"image{'s' * (used > 1)}: add some, or hold out a smaller part"
            )
        held = self.val_patches.owner.unique().tolist()
        if isinstance(images, LazyImages):
            # Not the first: a folder may be sorted by what its pictures show.
            held = held[:: max(1, -(-len(held) // MAX_VALIDATION_IMAGES))]
        self.val_set = self.images.subset(held, "validation")
        shown = kept.owner.unique().tolist()
        self.train_images = len(shown)
        self.train_patches = join([at_scale(scale, shown, kept) for scale in recipe.scales])
        if not len(self.train_patches):
            raise ValueError(
                f"`data.scales` (={list(recipe.scales)}) must leave an image to train on at least "
                f"{size} pixels high and wide, for `data.patch` (={recipe.patch}) at `r` "
                f"(={recipe.r}): make one larger, or the patch smaller"
            )
        return line

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that identify the images and the encoders."""
        return self._fingerprint(json.dumps(self.recipe.degradation.encoders()))

    def were_seen(self, metadata: Mapping[str, str]) -> bool:
        """Return whether weights were trained on these images, whatever their degradation.

        Args:
            metadata: The metadata of the weights' file, with `fingerprint` and `encoders`.

        Returns:
            Whether they were; False without a fingerprint.
        """
        known = metadata.get("fingerprint")
        return known == self._fingerprint(metadata.get("encoders", "{}"))

    def _fingerprint(self, encoders: str) -> str:
        """Return the fingerprint of the images and of encoders, which are JSON."""
        if encoders == "{}":
            return self.images.fingerprint
        seen = f'["{self.images.fingerprint}", {encoders}]'
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    def setup(self, stage: str) -> None:
        """Prepare, unless that has been done; Lightning calls this before fitting.

        Args:
            stage: Unused.
        """
        if self.train_patches is None:
            self.prepare()

    def _in_memory(self, images: Sequence[np.ndarray]) -> tuple[Patches, AtScale]:
        """Cut images at full size; also return a function that cuts a subset at another scale."""
        tensors = [to_channels(image, self.recipe.channels) for image in images]

        def at_scale(scale: float, shown: Sequence[int], kept: Any) -> Patches:
            if scale == 1:
                return kept
            return cut([tensors[i] for i in shown], self.recipe, scale)

        return cut(tensors, self.recipe), at_scale

    def _on_disk(self, files: LazyImages) -> tuple[PatchSubset, AtScale, int]:
        """Do the same for files, possibly very many; also return how many can't be read."""
        scales = tuple(dict.fromkeys([1.0, *self.recipe.scales]))
        recipe = replace(self.recipe, scales=scales)
        store = prepare(files, recipe, cache_folder(self.cache))
        good = sorted(set(range(len(files))) - set(store.bad))

        def at_scale(scale: float, shown: Sequence[int], kept: Any) -> PatchSubset:
            if scale == 1:
                return kept
            return PatchSubset(store.patches, store.indices(shown, scales.index(scale)))

        return PatchSubset(store.patches, store.indices(good, 0)), at_scale, len(store.bad)

    def train_dataloader(self) -> DataLoader:
        """Return the batches of an epoch.

        Returns:
            Pairs of uint8 tensors, as `Patches` holds them.
        """
        assert self.train_patches is not None
        order = EpochOrder(
            len(self.train_patches),
            self.batch_size,
            self.augment,
            self.seed,
            self._share(self.train_patches),
        )
        return DataLoader(
            Batches(self.train_patches, self.recipe.r), sampler=order, batch_size=None
        )

    def val_dataloader(self) -> DataLoader | list:
        """Return the held-out patches in large batches, in order.

        Returns:
            Pairs of uint8 tensors; an empty list if nothing is held out.
        """
        if not len(self.val_patches):
            return []
        number, count = self._share(self.val_patches)
        mine = torch.arange(len(self.val_patches))[number::count]
        order = [(index, 0) for index in mine.split(64)]
        return DataLoader(Batches(self.val_patches, self.recipe.r), sampler=order, batch_size=None)

    def _share(self, patches: Patches | PatchSubset) -> tuple[int, int]:
        """Return this process's rank and the world size."""
        if self.trainer is None:
            return 0, 1
        number, count = self.trainer.global_rank, self.trainer.world_size
        if len(patches) < count:
            raise ValueError(
                f"{len(patches)} patches must be shared by {count} processes, which leaves some "
                "without any: take fewer processes or more images"
            )
        return number, count
