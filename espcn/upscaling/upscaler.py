"""Upscale pictures and video planes with a trained network of matching strength.

from espcn import Upscaler
large = Upscaler(r=3)(picture)
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espcn.io.kinds import apply
from espcn.io.reading import read_picture
from espcn.network.engine import Engine, Engines
from espcn.network.model import ESPCN
from espcn.network.strengths import CLEAN, NONE, Compression, Strength, load_strength, strength
from espcn.network.weights import factors, load
from espcn.upscaling.compression import given_compression, held_compression, picture_compression
from espcn.upscaling.tiles import ReadRows, upscale_chroma, upscale_luma, upscaled_bands

_process = os.getpid()
_left_behind: list[dict[str, Any]] = []  # of the process that this one was forked from


class Upscaler:
    """Upscale pictures and video planes with a trained network.

    Args:
        r: The factor: 2, 3 or 4 (default 3); selects the shipped weights unless `ckpt` is given.
        ckpt: Your own checkpoint or weights file.
        engine: torch, compile, onnx or openvino; auto chooses the fastest.
        precision: float32, bfloat16, int8 (the last two only for 8-bit pictures; others are
            upscaled in float32) or auto, which chooses bfloat16 if it is fast.
        device: cpu, cuda or auto.
        compression: How strongly all sources were compressed, as the quality of a JPEG, 1 to 100,
            or `none`. By default it is detected for files, and arrays are taken as clean. `auto`
            also detects it for a PIL picture opened from a JPEG, which must not have been resized
            in place. See `suited_to` for other sources.
        ensemble: Take the mean over the eight flips and transposes of each picture: slightly
            better, but up to eight times as slow.

    Attributes:
        r: The factor.
        strength: Which of the shipped weights it uses.
        is_own: Whether it uses your own network instead.
        compression: How strongly all sources were compressed; None if it is detected for each file.
            With your own network it is not detected.
        engine: The engine that runs the network on 8-bit pictures.

    Raises:
        ValueError: There are no such weights, `compression` is invalid or a quality given with
            `ckpt`, or this machine does not support the engine, precision or device.
    """

    def __init__(
        self,
        r: int | None = None,
        ckpt: str | Path | None = None,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        compression: int | str | None = None,
        ensemble: bool = False,
    ) -> None:
        given = given_compression("auto" if compression is None else compression)
        wanted = given or NONE
        if ckpt is not None and wanted != NONE:
            raise ValueError(
                f"`compression` (={compression}) must be left out with `ckpt`: your own network "
                "is used unchanged"
            )
        self._made_from: dict[str, Any] = {
            "r": r, "ckpt": ckpt, "engine": engine, "precision": precision, "device": device,
            "compression": compression, "ensemble": ensemble,
        }  # fmt: skip
        factor = 3 if r is None else r
        self.strength = CLEAN if ckpt is not None else strength(factor, wanted)
        self.is_own = ckpt is not None
        self.compression = wanted if self.is_own else given
        self._believes_pictures = compression == "auto"
        network = load(r, ckpt).network if self.is_own else load_strength(factor, self.strength)
        self.r = network.r
        self._options = (engine, precision, device, ensemble)
        self._process = _enter_process()
        self._use(network)
        self._siblings = {(self.r, self.strength): self}  # one for each that was asked for
        self._making = threading.Lock()

    def suited_to(self, compression: Compression) -> "Upscaler":
        """Return an upscaler with the shipped weights that suit a compression.

        Args:
            compression: How the source was compressed.

        Returns:
            An upscaler with the same options, the same one each time; this one itself if it
            uses your own network.
        """
        if self.is_own:
            return self
        return self._at(self.r, strength(self.r, compression))

    @property
    def factors(self) -> list[int]:
        """The factors that `by` takes: those of the shipped weights, or that of your network."""
        return [self.r] if self.is_own else factors()

    def by(self, r: int) -> "Upscaler":
        """Return an upscaler for another factor, with the clean shipped weights.

        Args:
            r: The factor, one of `factors`.

        Returns:
            An upscaler with the same options, the same one each time; this one itself if it
            uses your own network.

        Raises:
            ValueError: There are no weights for this factor.
        """
        if r not in self.factors:
            there = ", ".join(map(str, self.factors))
            raise ValueError(f"`r` (={r}) must be a factor of this upscaler: choose {there}")
        return self if self.is_own else self._at(r, strength(r, NONE))

    def _at(self, r: int, wanted: Strength) -> "Upscaler":
        """Return the sibling with these weights."""
        self._enter()
        with self._making:
            if (r, wanted) not in self._siblings:
                sibling = object.__new__(Upscaler)  # copied as it is
                sibling.__dict__.update(self.__dict__)
                sibling.r, sibling.strength = r, wanted
                sibling._use(load_strength(r, wanted), self.engine.lock)
                self._siblings[r, wanted] = sibling
            return self._siblings[r, wanted]

    def _enter(self) -> None:
        """Reset after a fork: a lock may be held forever in the child process."""
        if self._process == os.getpid():
            return
        again = Upscaler(**self._made_from)
        sibling = again if self.is_own else again._at(self.r, self.strength)
        # OpenVINO would wait for threads that are not here, if its models were deleted.
        _left_behind.append(dict(self.__dict__))
        self.__dict__.update(sibling.__dict__)

    def _use(self, network: ESPCN, lock: "threading.Lock | None" = None) -> None:
        """Make a network ready to run."""
        engine, precision, device, ensemble = self._options
        self.engine = exact = Engine(network, engine, precision, device, lock, ensemble)
        if self.engine.precision != "float32":
            exact = Engine(network, engine, "float32", device, self.engine.lock, ensemble)
        self._engines = Engines(self.engine, exact)

    def __repr__(self) -> str:
        weights = self._made_from["ckpt"] if self.is_own else self.strength
        return f"Upscaler(r={self.r}: {weights}; {self.engine})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self._made_from, self.r, self.strength)

    def __call__(self, picture: Any) -> Any:
        """Upscale a picture, or several.

        Args:
            picture: A NumPy array `(height, width)` or `(height, width, channels)`, or a batch of
                them: grey, grey and alpha, RGB, or RGB and straight alpha; uint8, uint16, or floats
                from 0 to 1. A tensor likewise, but `(channels, height, width)`. A PIL picture. A
                path of a picture file, for which an array is returned; its compression is detected,
                unless the upscaler was made with a quality, `none` or `ckpt`. Or a list of these.

        Returns:
            A picture r times as high and wide, of the same kind, type and channels; or a list.

        Raises:
            ValueError: `picture` has an unsupported kind, type, shape or range, or the file is not
                a picture.
        """
        if isinstance(picture, list | tuple):
            return [self(one) for one in picture]
        found = None
        if isinstance(picture, str | Path):
            path = Path(picture)
            if path.is_dir():
                raise ValueError(
                    f"`picture` (={path}) must be a picture, but is a folder: give a list of its "
                    "files, or run espcn-upscale on it"
                )
            found = picture_compression(path) if self.compression is None else None
            picture = read_picture(path)
        elif self._believes_pictures:
            found = held_compression(picture)
        suited = self if found is None else self.suited_to(found)
        return apply(suited._whole, picture)

    def _whole(self, pixels: np.ndarray) -> np.ndarray:
        """Upscale `(height, width, channels)`."""
        rows = self.bands(lambda top, bottom: pixels[top:bottom], *pixels.shape)
        return np.concatenate(list(rows))

    def bands(self, rows: ReadRows, height: int, width: int, channels: int) -> Iterator[np.ndarray]:
        """Upscale a picture in bands, from top to bottom.

        Args:
            rows: Returns rows `top` to `bottom` of the picture, `(bottom - top, width, channels)`.
                It is called from top to bottom; successive calls overlap by the halo.
            height: The picture's height in pixels.
            width: Its width in pixels.
            channels: Its channels, 1 to 4.

        Returns:
            An iterator over upscaled rows, `(rows, r width, channels)`.
        """
        self._enter()
        return upscaled_bands(self._engines, rows, height, width, channels)

    def luma(
        self, plane: np.ndarray, bits: int, large: np.ndarray, full_range: bool = False
    ) -> None:
        """Upscale a video's luma plane.

        Args:
            plane: `(height, width)`, uint8 or uint16.
            bits: Bit depth, 8 or 10.
            large: The array to write to, `(r height, r width)`, or one row or column smaller.
            full_range: Whether black and white are 0 and 255 at 8 bits rather than 16 and 235.
        """
        self._enter()
        upscale_luma(self._engines, plane, bits, large, full_range)

    def chroma(self, plane: np.ndarray, bits: int, large: np.ndarray, shift: float = 0.0) -> None:
        """Upscale a chroma plane by bicubic interpolation.

        Args:
            plane: `(height, width)`, uint8 or uint16.
            bits: Bit depth, 8 or 10.
            large: The array to write to, `(r height, r width)`, or one row or column smaller.
            shift: Shift of the sampling points to the right, in columns of `plane`, for chroma that
                is not centred between its luma columns.
        """
        self._enter()
        upscale_chroma(self._engines, plane, bits, large, shift)


def _enter_process() -> int:
    """Return this process's ID; use one thread if it was forked since the import.

    OpenMP's threads stay in the parent process, so a forked process would wait for them.
    """
    global _process
    if _process != os.getpid():
        torch.set_num_threads(1)
        _process = os.getpid()
    return _process


def _made_again(made_from: dict[str, Any], r: int, strength: Strength) -> Upscaler:
    """Rebuild an upscaler in another process."""
    upscaler = Upscaler(**made_from)
    return upscaler if upscaler.is_own else upscaler._at(r, strength)
