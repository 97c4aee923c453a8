"""Sample patches: what the network saw, as pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from espcn.data.patches import Patches, PatchSubset, Recipe, cut
from espcn.evaluation.samples import COUNT, save_samples
from espcn.imaging.degradation import BENCHMARK
from espcn.network.model import ESPCN
from espcn.network.weights import load


def cut_photo(channels: int = 1) -> tuple[torch.Tensor, Patches]:
    import skimage.data

    photo = torch.from_numpy(skimage.data.astronaut()[:120, 150:270]).permute(2, 0, 1)
    return photo[:channels], cut([photo[:channels]], Recipe(r=3, channels=channels, patch=10))


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_samples_are_the_patches_their_targets_and_the_outputs(tmp_path: Path) -> None:
    photo, patches = cut_photo()
    save_samples(tmp_path, load(3).network, patches)
    assert len(list(tmp_path.iterdir())) == 3 * min(COUNT, len(patches))
    low, target, output = (read(tmp_path / f"0_{kind}.png") for kind in ("low", "target", "output"))
    assert np.array_equal(target, photo[0, :30, :30].numpy())
    assert np.array_equal(low[4:, 4:], BENCHMARK(photo, 3)[0, :14, :14].numpy())
    error = np.abs(output.astype(float) - target).mean()
    assert 0 < error < 12  # shipped weights: near the target, and not it


def test_samples_are_spread_over_all_patches(tmp_path: Path) -> None:
    _, patches = cut_photo()
    last = PatchSubset(patches, torch.arange(len(patches)))
    save_samples(tmp_path, ESPCN(3), last)
    number = min(COUNT, len(patches)) - 1
    assert np.array_equal(read(tmp_path / f"{number}_low.png"), patches.low[-1, 0].numpy())


@pytest.mark.parametrize("count", [0, 1])
def test_few_patches_are_all_shown(tmp_path: Path, count: int) -> None:
    _, patches = cut_photo()
    save_samples(tmp_path / "new", ESPCN(3), patches.select(torch.arange(count)))
    assert len(list((tmp_path / "new").iterdir())) == 3 * count


def test_samples_of_a_color_network_have_its_colors(tmp_path: Path) -> None:
    photo, patches = cut_photo(channels=3)
    save_samples(tmp_path, ESPCN(3, channels=3), patches)
    assert np.array_equal(read(tmp_path / "0_target.png"), photo[:, :30, :30].permute(1, 2, 0))
