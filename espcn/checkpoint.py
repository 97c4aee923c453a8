"""Checkpoints and weights: read without running anything that they name, or needing Lightning."""

import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from espcn.degrade import check_degradation
from espcn.model import ESPCN

NETWORK_SETTINGS = {
    "r": int,
    "channels": int,
    "activation": str,
    "padding": str,
    "center": float,
    "gain": float,
}
MOST_R = 64  # a file of a few kilobytes can claim more, and a network so large fills the memory

# What a checkpoint's pickle may call: PyTorch allows more, `bytearray` of any length among it.
_CALLED = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2")


def load_network(path: str | Path) -> tuple[ESPCN, dict[str, Any]]:
    """Give the network of a .ckpt or .safetensors file, and the settings it was trained with.

    The settings are the network's (of weights, the folded one's) and `blur` and `downsample`, which
    it was trained for. Only tensors and plain values are read; the network is built from plain
    numbers and names of our own. A run's directory stands for its best.ckpt. Raises
    FileNotFoundError, or a ValueError when it is no file of this program.
    """
    path = Path(str(path))
    if path.is_dir():
        path = path / "best.ckpt"
    if not path.is_file():
        raise FileNotFoundError(
            f"`ckpt` (={path}) must be an existing file: a run leaves best.ckpt in its directory"
        )
    read = _read_weights if path.suffix == ".safetensors" else _read_checkpoint
    try:
        settings, weights = read(path)
        options = {name: kind(settings[name]) for name, kind in NETWORK_SETTINGS.items()}
        blur, downsample = float(settings["blur"]), str(settings["downsample"])
        if options["r"] > MOST_R:
            raise ValueError(f"its `r` (={options['r']}) must be at most {MOST_R}")
        check_degradation(options["r"], blur, downsample)
        network = ESPCN(**options)
        network.load_state_dict(weights)
    except Exception as error:  # a file from a stranger can fail in any way
        raise ValueError(
            f"`ckpt` (={path}) must be a checkpoint that train.py wrote, or weights made from one, "
            f"but could not be read as such: {reason(error)}"
        ) from error
    return network.eval(), options | {"blur": blur, "downsample": downsample}


def check_archive(path: Path) -> None:
    """Raise an error if a checkpoint would unpack to more than it is, or call more than it needs.

    Its pickle may call what makes tensors and dictionaries: in all else there is nothing of ours.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("it is compressed, which PyTorch's are not")
        for part in parts:
            if not part.filename.lower().endswith("data.pkl"):
                continue
            for code, named, _ in pickletools.genops(archive.read(part)):
                name = str(named)
                storage = name.startswith("torch ") and name.endswith("Storage")
                if code.name == "GLOBAL" and not storage and name not in _CALLED:
                    raise pickle.UnpicklingError(name)


def reason(error: Exception) -> str:
    """Say in a line why a checkpoint could not be read."""
    # What PyTorch says of a refused pickle is the advice to run it.
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than plain values"
    if isinstance(error, KeyError):
        return f"it does not say {error}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the settings and the network's weights of a Lightning checkpoint."""
    check_archive(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old formats, which are refused in any case
        content = torch.load(path, map_location="cpu", weights_only=True)
    return content["hyper_parameters"], _network_weights(content["state_dict"])


def _read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the settings and the weights of a safetensors file, whose network is folded."""
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
        return (file.metadata() or {}) | {"center": 0, "gain": 1}, weights


def _network_weights(state: dict[str, Any]) -> dict[str, Any]:
    """Give the network's part of a task's state."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
