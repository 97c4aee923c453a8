"""Checkpoints: written whole, read without running anything that they name."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from espcn.degrade import check_degradation
from espcn.files import whole_file
from espcn.model import ESPCN

NETWORK_SETTINGS = {
    "r": int,
    "channels": int,
    "activation": str,
    "padding": str,
    "center": float,
    "gain": float,
}


class WholeFileIO(TorchCheckpointIO):
    """Lightning's way of saving, under the final name only once the file is whole.

    Lightning itself moves it there from the system's temporary folder, which, on another disk, is a
    copy that can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to `path`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(Path(path)) as part:
            torch.save(checkpoint, part)


def load_network(path: str | Path) -> tuple[ESPCN, dict[str, Any]]:
    """Give the network of a checkpoint, and the settings it was trained with.

    The settings are the network's and `blur` and `downsample`. Only tensors and plain values are
    read (`weights_only=True`); the network is built from plain numbers and names of our own.
    A run's directory stands for its best.ckpt. Raises FileNotFoundError, or a ValueError when it is
    no checkpoint of this program.
    """
    path = Path(str(path))
    if path.is_dir():
        path = path / "best.ckpt"
    if not path.is_file():
        raise FileNotFoundError(
            f"`ckpt` (={path}) must be an existing file: a run leaves best.ckpt in its directory"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which are refused in any case
            content = torch.load(path, map_location="cpu", weights_only=True)
        settings = content["hyper_parameters"]
        options = {name: kind(settings[name]) for name, kind in NETWORK_SETTINGS.items()}
        blur, downsample = float(settings["blur"]), str(settings["downsample"])
        check_degradation(options["r"], blur, downsample)
        network = ESPCN(**options)
        network.load_state_dict(_network_weights(content["state_dict"]))
    except Exception as error:  # a file from a stranger can fail in any way
        # What PyTorch says of a refused pickle is the advice to run it.
        refused = isinstance(error, pickle.UnpicklingError)
        said = "it holds more than plain values" if refused else str(error).partition("\n")[0][:200]
        reason = said or type(error).__name__
        raise ValueError(
            f"`ckpt` (={path}) must be a checkpoint that train.py wrote, but could not be read as "
            f"one: {reason}"
        ) from error
    return network.eval(), options | {"blur": blur, "downsample": downsample}


def _network_weights(state: dict[str, Any]) -> dict[str, Any]:
    """Give the network's part of a task's state."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
