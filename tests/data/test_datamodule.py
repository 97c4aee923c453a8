"""The data module: what is trained on, what is held out, in which order."""

from pathlib import Path

import numpy as np
import pytest
import torch

from espcn.data import datamodule
from espcn.data.batches import EpochOrder
from espcn.data.datamodule import PatchData


def made(pictures: Path, **options: object) -> PatchData:
    data = PatchData("folder", str(pictures), patch=8, stride=8, **options)  # type: ignore[arg-type]
    data.prepare()
    return data


def test_split_by_image_keeps_all_patches_of_an_image_on_one_side(pictures: Path) -> None:
    data = made(pictures, val_fraction=0.25)
    assert data.train_patches is not None
    # 8 pictures of 32x32 low-resolution pixels, 16 patches each; a quarter is two pictures.
    assert set(data.val_patches.owner.tolist()).isdisjoint(data.train_patches.owner.tolist())
    assert (len(data.val_patches), len(data.train_patches)) == (2 * 16, 6 * 16)
    assert len(data.val_set) == 2


def test_split_by_patch_holds_out_a_share_of_all_patches(pictures: Path) -> None:
    data = made(pictures, val_fraction=0.25, split="patch")
    assert len(data.val_patches) == 32
    assert len(data.val_set) > 2  # patches of nearly every picture: this split leaks


def test_held_out_pictures_are_as_they_were_read(pictures: Path) -> None:
    # So that a grey one is scored as grey also where it trains a colour network.
    data = made(pictures, val_fraction=0.5, channels=3)
    shapes = {image.shape[-1] for image in data.images.images}
    assert shapes == {1, 3}
    at = [data.images.names.index(name) for name in data.val_set.names]
    for image, index in zip(data.val_set.images, at, strict=True):
        assert np.array_equal(image, data.images.images[index])


def test_folds_hold_out_every_image_once(pictures: Path) -> None:
    held_out = [made(pictures, fold=k, folds=4).val_patches.owner.unique() for k in range(4)]
    assert sorted(torch.cat(held_out).tolist()) == list(range(8))


@pytest.mark.parametrize(
    ("most", "places"), [(1, [0]), (2, [0, 2]), (3, [0, 2]), (4, [0, 1, 2, 3])]
)
def test_few_held_out_pictures_are_of_all_of_a_folder(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, most: int, places: list[int]
) -> None:
    held = made(pictures, val_fraction=0.5).val_set.names
    assert len(held) == 4
    monkeypatch.setattr(datamodule, "MAX_VALIDATION_IMAGES", most)
    some = made(pictures, val_fraction=0.5)
    assert some.val_set.names == [held[place] for place in places]
    assert len(some.val_patches.owner.unique()) == 4  # the loss is that of all


def test_split_does_not_depend_on_the_seed(pictures: Path) -> None:
    one, other = made(pictures, seed=0), made(pictures, seed=1)
    assert torch.equal(one.val_patches.low, other.val_patches.low)


def test_nothing_is_held_out_when_the_fraction_is_zero(pictures: Path) -> None:
    data = made(pictures, val_fraction=0)
    assert data.train_patches is not None
    assert len(data.train_patches) == 8 * 16
    assert len(data.val_set) == 0
    assert data.val_dataloader() == []


def test_scales_add_training_patches_and_leave_the_validation_alone(pictures: Path) -> None:
    plain, scaled = (
        made(pictures, val_fraction=0.25),
        made(pictures, val_fraction=0.25, scales=[1.0, 0.5]),
    )
    assert plain.train_patches is not None
    assert scaled.train_patches is not None
    # At half its size a picture is 48x48, 16 low-resolution pixels: 4 patches for 6 pictures.
    assert len(scaled.train_patches) == len(plain.train_patches) + 6 * 4
    assert torch.equal(scaled.val_patches.target, plain.val_patches.target)


def test_images_too_small_are_counted_and_left_out(tmp_path: Path, pictures: Path) -> None:
    from PIL import Image

    for path in pictures.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    Image.new("L", (20, 20)).save(tmp_path / "small.png")
    data = PatchData("folder", str(tmp_path), patch=8, stride=8)
    assert "; 1 image smaller than 24x24 left out" in data.prepare()
    Image.new("L", (20, 21)).save(tmp_path / "small2.png")
    assert "; 2 images smaller than 24x24 left out" in data.prepare()
    assert (data.train_images, len(data.val_set)) == (7, 1)


def test_unreadable_image_is_not_counted_among_the_small(tmp_path: Path, pictures: Path) -> None:
    for path in pictures.iterdir():
        for copy in range(2):
            (tmp_path / f"{copy}{path.name}").write_bytes(path.read_bytes())
    cut_off = tmp_path / "1color5.png"
    cut_off.write_bytes(cut_off.read_bytes()[:3000])
    data = PatchData("folder", str(tmp_path), patch=8, stride=8)
    with pytest.warns(UserWarning, match=r"left out: .*1color5.png: the file is damaged"):
        assert "smaller" not in data.prepare()
    assert (data.train_images, len(data.val_set)) == (13, 2)
    assert len(data.train_patches) == 13 * 16


def test_only_small_images_are_an_error(pictures: Path) -> None:
    data = PatchData("folder", str(pictures), patch=40)
    with pytest.raises(ValueError, match=r"`data.patch` \(=40\) at `r` \(=3\) must fit"):
        data.prepare()


def test_only_small_images_at_all_scales_are_an_error(pictures: Path) -> None:
    data = PatchData("folder", str(pictures), patch=8, scales=[0.05, 0.1])
    with pytest.raises(ValueError, match=r"`data.scales` \(=\[0.05, 0.1\]\) must leave an image"):
        data.prepare()
    PatchData("folder", str(pictures), patch=8, scales=[0.05, 0.5]).prepare()


def test_holding_out_all_images_is_an_error(pictures: Path) -> None:
    data = PatchData("folder", str(pictures), patch=8, val_fraction=0.99)
    with pytest.raises(ValueError, match="must leave something to train on, but there are only 8"):
        data.prepare()
    data = PatchData("folder", str(pictures), patch=8, fold=0, folds=9)
    with pytest.raises(ValueError, match=r"`data.folds` \(=9\) must be at most"):
        data.prepare()


def test_batches_are_the_patches_whole_and_in_the_order_of_the_seed(pictures: Path) -> None:
    data = made(pictures, val_fraction=0.25, batch_size=10, augment=False)
    assert data.train_patches is not None
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == 9  # of 96 patches, 6 wait for another epoch
    order = list(EpochOrder(96, 10, False, seed=0))
    assert all(
        torch.equal(low, data.train_patches.low[indices])
        for (low, _), (indices, _) in zip(batches, order, strict=True)
    )
    assert batches[0][0].dtype == torch.uint8


def test_order_changes_with_the_epoch_and_the_seed_and_with_nothing_else() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        made = EpochOrder(50, 5, True, seed)
        made.set_epoch(epoch)
        return [i for indices, symmetry in made for i in (*indices.tolist(), symmetry)]

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_patch_by_patch_degradation_is_the_notebooks(pictures: Path) -> None:
    data = made(pictures, degrade="patch", halo=0, val_fraction=0)
    whole = made(pictures, degrade="image", halo=0, val_fraction=0)
    assert data.train_patches is not None
    assert whole.train_patches is not None
    assert torch.equal(data.train_patches.target, whole.train_patches.target)
    assert not torch.equal(data.train_patches.low, whole.train_patches.low)  # mirrored borders


def test_color_patches_have_three_channels(pictures: Path) -> None:
    data = made(pictures, val_fraction=0, channels=3)
    assert data.train_patches is not None
    assert data.train_patches.target.shape[1:] == (27, 8, 8)
    assert data.train_patches.low.shape[1:] == (3, 16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 1}, r"`r` \(=1\) must be a whole number of at least 2"),
        ({"r": 2.5}, r"`r` \(=2.5\) must be a whole number of at least 2"),
        ({"patch": 0}, r"`data.patch` \(=0\) must be a whole number of at least 1"),
        ({"stride": 0}, r"`data.stride` \(=0\) must be a whole number"),
        ({"scales": [0]}, r"`data.scales` \(=0\) must be a number above 0"),
        ({"scales": 0.5}, r"`data.scales` \(=0.5\) must be a list"),
        ({"scales": []}, r"`data.scales` \(=\[\]\) must be a list"),
        ({"scales": [2.5]}, r"`data.scales` \(=2.5\) must be at most 2: an image has no detail"),
        ({"augment": "abc"}, r"`data.augment` \(='abc'\) must be true or false"),
        ({"degrade": "x"}, r"`data.degrade` \(=x\) must be one of image, patch"),
        ({"split": "x"}, r"`data.split` \(=x\) must be one of image, patch"),
        ({"val_fraction": 1.5}, r"`data.val_fraction` \(=1.5\) must be a fraction"),
        ({"val_fraction": 1}, "must leave images to train on"),
        ({"batch_size": 0}, r"`batch_size` \(=0\) must be a whole number"),
        ({"seed": -1}, r"`seed` \(=-1\) must be a whole number"),
        ({"fold": 1}, "must be given together"),
        ({"fold": 0, "folds": 1}, r"`data.folds` \(=1\) must be a whole number"),
        ({"fold": 5, "folds": 5}, r"`data.fold` \(=5\) must be less than"),
        ({"fold": -1, "folds": 5}, r"`data.fold` \(=-1\) must be a whole number"),
    ],
)
def test_bad_settings_are_named_with_the_rule(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchData("auto", **options)
