"""Reading and writing checkpoints: atomically, and without running code from them."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from espcn.io.atomic import atomic_write, make_folder
from espcn.network.weights import check_archive, reason


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves checkpoints atomically, and checks those it loads.

    Lightning moves a checkpoint from the system's temporary folder; if that is on another disk, the
    move is a copy that can be cut short. A run's directory may come from an untrusted source, so
    checkpoints are checked before they are loaded.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: Its content.
            path: The file.
            storage_options: Unused.
        """
        make_folder(Path(path).parent)
        content = io.BytesIO()
        torch.save(checkpoint, content)  # which, of a file, would not say that the disk is full
        with atomic_write(Path(path)) as part:
            part.write_bytes(content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; only tensors and plain values are read.

        Args:
            path: The file.
            map_location: The device to load tensors to.
            weights_only: Unused.

        Returns:
            Its content.

        Raises:
            ValueError: It was not written by train.py.
        """
        try:
            check_archive(Path(path))
            return super().load_checkpoint(path, map_location, weights_only=True)
        except Exception as error:  # a file from a stranger can fail in any way
            raise _foreign(path, reason(error)) from error


def trained_epochs(directory: Path) -> int:
    """Return how many epochs a run has trained, however it ended.

    Args:
        directory: The run's directory.

    Returns:
        The number of the epoch in last.ckpt; 0 if there is none yet.

    Raises:
        ValueError: train.py did not write the file.
    """
    path = directory / "last.ckpt"
    if not path.is_file():
        return 0
    rows = _history(path)["rows"]
    return rows[-1]["epoch"] if rows else 0


def last_checkpoint(directory: Path, fingerprint: str) -> Path | None:
    """Return the checkpoint to resume a run from.

    Args:
        directory: The run's directory.
        fingerprint: The fingerprint of its images.

    Returns:
        The path of last.ckpt; None if there is none yet.

    Raises:
        ValueError: The run was trained on other images, or train.py did not write the file.
    """
    path = directory / "last.ckpt"
    if not path.is_file():
        return None
    began = _history(path)["fingerprint"]
    if began != fingerprint:
        raise ValueError(
            f"`data` must be the images that the run began with (fingerprint {began}), but these "
            f"are others ({fingerprint}): give it back its images and, if they are compressed, its "
            "versions of FFmpeg and Pillow; or start a new run"
        )
    return path


def _history(path: Path) -> dict[str, Any]:
    """Return what the callback `History` has stored in a checkpoint."""
    content = AtomicCheckpointIO().load_checkpoint(path)
    try:
        kept = content["callbacks"]["History"]
        return {name: kept[name] for name in ("rows", "fingerprint")}
    except (KeyError, TypeError) as error:
        raise _foreign(path, "it has no history of a run") from error


def _foreign(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} must be a checkpoint that train.py wrote, but could not be read as such: {why}. "
        "Without it, the run begins anew"
    )
