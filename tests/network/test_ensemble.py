"""The self-ensemble, against the eight versions made by NumPy."""

import numpy as np
import pytest
import torch

from espcn.network.ensemble import SelfEnsemble
from espcn.network.model import ESPCN
from helpers import same_tensors


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_ensemble_is_the_mean_over_turned_and_mirrored_pictures(padding: str) -> None:
    torch.manual_seed(0)
    network = ESPCN(2, padding=padding).double().eval()
    picture = np.random.default_rng(0).random((7, 9))

    def upscaled(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(pixels.copy())[None, None])[0, 0].numpy()

    made = []
    for turns in range(4):
        turned = np.rot90(picture, turns)
        made.append(np.rot90(upscaled(turned), -turns))
        made.append(np.rot90(np.fliplr(upscaled(np.fliplr(turned))), -turns))
    ensemble = SelfEnsemble(network).double()
    with torch.inference_mode():
        mean = ensemble(torch.from_numpy(picture)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(mean, np.mean(made, 0), atol=1e-12)


def test_ensemble_is_its_network_in_all_else() -> None:
    network = ESPCN(3, channels=3, activation="relu", center=0.0, gain=1.0).eval()
    ensemble = SelfEnsemble(network)
    assert ensemble.settings == network.settings
    assert same_tensors(ensemble.state_dict(), network.state_dict())
    assert not ensemble.training
