"""Hold out patches of a training set for validation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from espcn import checks
from espcn.data.patches import Patches, PatchSubset

# The split does not depend on a run's seed: runs with different seeds are validated on the same
# images, so that their differences come from training alone.
SPLIT_SEED = 0


@dataclass(frozen=True)
class Split:
    """The settings of the validation split: a fraction, or one of several folds.

    Attributes:
        by: `image` holds out whole images, so that overlapping patches are never on both sides;
            `patch` holds out single patches, as in the notebook.
        val_fraction: The fraction that is held out, 0 to 1; ignored with `folds`.
        fold: Index of the fold that is held out, from 0; None to use `val_fraction`.
        folds: Number of equal folds, at least 2; None to use `val_fraction`.

    Raises:
        ValueError: A setting is out of its range, or `fold` and `folds` are not given together.
    """

    by: str = "image"
    val_fraction: float = 0.1
    fold: int | None = None
    folds: int | None = None

    def __post_init__(self) -> None:
        fold, folds = self.fold, self.folds
        checks.choice("data.split", self.by, ("image", "patch"))
        checks.fraction("data.val_fraction", self.val_fraction, "0.1 holds out a tenth, 0 nothing")
        if self.val_fraction == 1 and folds is None:
            raise ValueError("`data.val_fraction` (=1) must leave images to train on: 0.1 is usual")
        if (fold is None) != (folds is None):
            raise ValueError(
                f"`data.fold` (={fold}) and `data.folds` (={folds}) must be given together, in a "
                "sweep as data.fold=0,1,2,3,4 data.folds=5"
            )
        if fold is not None:
            checks.integer("data.folds", folds, 2, "5 is usual")
            checks.integer("data.fold", fold, 0, "the folds are numbered from 0")
            if fold >= folds:  # type: ignore[operator]
                raise ValueError(
                    f"`data.fold` (={fold}) must be less than `data.folds` (={folds}): the folds "
                    "are numbered from 0"
                )

    def held_out(self, patches: Patches | PatchSubset) -> Tensor:
        """Return which patches are held out, the same for every seed.

        Args:
            patches: All patches.

        Returns:
            A mask, bool `(n,)`.

        Raises:
            ValueError: There are fewer images (or patches) than folds.
        """
        owners = patches.owner.unique()
        count = len(owners) if self.by == "image" else len(patches)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(SPLIT_SEED))
        if self.fold is not None and self.folds is not None:
            if self.folds > count:
                raise ValueError(
                    f"`data.folds` (={self.folds}) must be at most the number of "
                    f"{'images' if self.by == 'image' else 'patches'} ({count}): take fewer"
                )
            chosen = order[self.fold :: self.folds]
        else:
            # At least one, unless the fraction is 0.
            chosen = order[: max(round(self.val_fraction * count), int(self.val_fraction > 0))]
        if self.by == "image":
            return torch.isin(patches.owner, owners[chosen])
        return torch.isin(torch.arange(count), chosen)
