"""Checkpoints and weights, read without running code from them and without Lightning.

Checkpoints are Lightning's, one for each run. Weights are folded networks as safetensors, each with
its provenance; the shipped weights are such files, one for each factor.
"""

import hashlib
import json
import pickle
import pickletools
import re
import warnings
import zipfile
from dataclasses import asdict
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from espcn.imaging.degradation import Degradation
from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN, SETTINGS, joined

SHIPPED = Path(__file__).parent / "pretrained"
DIGEST = "sha256"  # the name of a file's digest among its metadata
FOLDER = 0x10  # the bit of a zip archive's attributes that says so

# What a checkpoint's pickle may call: PyTorch allows more, `bytearray` of any length among it.
_CALLED = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2")


class Trained(NamedTuple):
    """A network read from a file, with the file's metadata.

    Attributes:
        network: The network, in evaluation mode, on the CPU.
        degradation: The degradation it was trained for.
        path: The file it was read from.
        metadata: The metadata of a safetensors file, as text by name; empty for a checkpoint.
    """

    network: ESPCN
    degradation: Degradation
    path: Path
    metadata: dict[str, str]


def load(r: int | None = None, ckpt: str | Path | None = None, setting: str = "ckpt") -> Trained:
    """Load a network: from `ckpt` if given, otherwise the shipped one for a factor.

    Only tensors and plain values are read: no code from the file is run.

    Args:
        r: Factor of the shipped weights: 2, 3 or 4 (default 3); with `ckpt`, the factor that it
            must have.
        ckpt: A .ckpt of a run, a .safetensors file, or a run's directory, from which best.ckpt is
            loaded.
        setting: What the caller calls `ckpt`, for messages.

    Returns:
        The network with its file's metadata.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: There are no shipped weights for `r`, the factor of `ckpt` is not `r`, or the
            file is not one of this program's.
    """
    path = shipped(3 if r is None else r) if ckpt is None else Path(str(ckpt))
    if path.is_dir():
        path = path / "best.ckpt"
    if not path.is_file():
        raise FileNotFoundError(
            f"`{setting}` (={path}) must be an existing file: a run leaves best.ckpt in its "
            "directory"
        )
    read = _read_weights if path.suffix == ".safetensors" else _read_checkpoint
    try:
        settings, weights, metadata = read(path)
        options = {name: kind(settings[name]) for name, kind in SETTINGS.items()}
        degradation = Degradation.from_settings(settings)
        network = ESPCN(**options)
        network.load_state_dict(joined(weights, network))
        if not all(one.isfinite().all() for one in network.state_dict().values()):
            raise ValueError("its weights hold NaN or infinity")
    except Exception as error:  # a file from a stranger can fail in any way
        raise ValueError(
            f"`{setting}` (={path}) must be a checkpoint that train.py wrote, or weights made from "
            f"one, but could not be read as such: {reason(error)}"
        ) from error
    if r not in (None, network.r):
        raise ValueError(
            f"`r` (={r!r}) must be the factor of `{setting}` ({network.r}): leave it out, or give "
            "the checkpoint of another factor"
        )
    return Trained(network.eval(), degradation, path, metadata)


def factors() -> list[int]:
    """Return the factors for which weights are shipped.

    Returns:
        The factors in ascending order.
    """
    return list(_factors())


@cache  # they are asked for at each frame of a video
def shipped_files() -> tuple[Path, ...]:
    """Return all files of shipped weights.

    Returns:
        .safetensors files, sorted.
    """
    return tuple(sorted(SHIPPED.glob("*.safetensors")))


def shipped(r: int) -> Path:
    """Return the path of the shipped weights for a factor.

    Args:
        r: The factor.

    Returns:
        A .safetensors file.

    Raises:
        ValueError: There are no weights for this factor, or `r` is not a factor.
    """
    known = factors()
    there = ", ".join(map(str, known))
    if isinstance(r, str | Path):
        text = str(r)
        remedy = f"pass it without quotes, {r}" if text.isdecimal() else "pass a file as `ckpt`"
        raise ValueError(f"`r` (={text!r}) must be a factor, a whole number and not text: {remedy}")
    if not isinstance(r, Integral):
        raise ValueError(
            f"`r` (={r}) must be a whole number ({there}): for other sizes use espcn-upscale, "
            "say --scale 2.5"
        )
    if r not in known:
        own = f", or train your own with `python train.py r={r}` and pass it as `ckpt`"
        raise ValueError(
            f"`r` (={r}) must be one of the shipped factors ({there}): choose one" + own * (r > 1)
        )
    return SHIPPED / f"espcn_x{r}.safetensors"


def save_weights(
    network: ESPCN, path: Path, degradation: Degradation, provenance: dict[str, str]
) -> None:
    """Write a network, folded, as float32 safetensors.

    The metadata, all text, contain what is needed to rebuild the network, its provenance, and a
    digest with which `load` detects a damaged file.

    Args:
        network: The network; `center` and `gain` are folded into its weights.
        path: The file to write.
        degradation: The degradation the network was trained for.
        provenance: Text by name, such as the command that trained it.
    """
    kept = SETTINGS.keys() - {"center", "gain"}
    about = {k: str(v) for k, v in network.settings.items() if k in kept}
    about |= {k: v if isinstance(v, str) else json.dumps(v) for k, v in asdict(degradation).items()}
    folded = network.folded(dtype=torch.float32)
    tensors = {name: value.contiguous() for name, value in folded.state_dict().items()}
    about |= provenance
    with atomic_write(path) as part:
        part.write_bytes(save(tensors, about | {DIGEST: content_digest(tensors, about)}))


def content_digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Return a digest of the content of a weights file.

    Args:
        tensors: The weights by name.
        metadata: Its metadata; a digest in it is ignored.

    Returns:
        The SHA-256 in hexadecimal.
    """
    said = {name: text for name, text in metadata.items() if name != DIGEST}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def check_archive(path: Path) -> None:
    """Check that a checkpoint is undamaged, not compressed, and calls only known functions.

    Its pickle may only call functions that make tensors and dictionaries.

    Args:
        path: The checkpoint, a zip archive.

    Raises:
        ValueError: It is compressed, which PyTorch's are not.
        BadZipFile: A part of it is damaged, which PyTorch would not notice.
        UnpicklingError: It calls something else.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("it is compressed, which PyTorch's are not")
        for part in parts:
            # PyTorch reads nothing from a folder: its tensor would be memory that nobody wrote.
            if part.is_dir() or part.external_attr & FOLDER:
                raise zipfile.BadZipFile(f"its part {part.filename} is a folder")
            content = archive.read(part)
            if not part.filename.lower().endswith("data.pkl"):
                continue
            for code, named, _ in pickletools.genops(content):
                name = str(named)
                storage = name.startswith("torch ") and name.endswith("Storage")
                if code.name == "GLOBAL" and not storage and name not in _CALLED:
                    raise pickle.UnpicklingError(name)


def reason(error: Exception) -> str:
    """Return in one line why a checkpoint could not be read.

    Args:
        error: The exception that was raised.

    Returns:
        The reason.
    """
    # What PyTorch says of a refused pickle is the advice to run it.
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than plain values"
    if isinstance(error, KeyError):
        return f"it does not say {error}"
    return " ".join(str(error).split())[:200] or type(error).__name__


@cache
def _factors() -> tuple[int, ...]:
    clean = re.compile(r"espcn_x(\d+)")
    matches = [clean.fullmatch(path.stem) for path in shipped_files()]
    return tuple(sorted(int(match[1]) for match in matches if match))


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return the settings and the network's weights of a Lightning checkpoint, and no metadata."""
    check_archive(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old formats, which are refused in any case
        content = torch.load(path, map_location="cpu", weights_only=True)
    return content["hyper_parameters"], _network_weights(content["state_dict"]), {}


def _read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return settings, weights and metadata of a safetensors file, whose network is folded."""
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
        metadata = file.metadata() or {}
    if metadata.get(DIGEST, digest := content_digest(weights, metadata)) != digest:
        raise ValueError("it is damaged: its content is not what its digest says; get it anew")
    return metadata | {"center": 0, "gain": 1}, weights, metadata


def _network_weights(state: dict[str, Any]) -> dict[str, Any]:
    """Return the network's part of the LightningModule's state."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
