"""Upscale pictures and video planes: luma by the network, everything else bicubically.

    from espcn import Upscaler
    large = Upscaler(r=3)(picture)

Pictures are processed in tiles that include a halo. Memory stays bounded for a picture of any size,
and the result is the same as without tiles.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from espcn.imaging.alpha import REACH, bleed
from espcn.imaging.levels import RGB_FROM_LUMA, grey_levels, limited, luma_levels
from espcn.imaging.resize import BICUBIC_HALO, bicubic_filters
from espcn.io.kinds import apply
from espcn.io.reading import read_picture
from espcn.network.engine import Engine
from espcn.network.model import ESPCN, HALO
from espcn.network.strengths import CLEAN, NONE, Compression, Strength, load_strength, strength
from espcn.network.weights import load
from espcn.upscaling.choice import given_compression, picture_compression

BAND = 1_000_000  # low-resolution pixels in memory at a time
TILE_WIDTH = 512  # low-resolution pixels

_process = os.getpid()


class Upscaler:
    """Upscale pictures and video planes with a trained network.

    Args:
        r: Factor 2, 3 or 4 (default 3); selects the shipped weights unless `ckpt` is given.
        ckpt: A checkpoint or weights file of your own.
        engine: torch, compile, onnx or openvino; auto chooses the fastest.
        precision: float32, bfloat16 (only for 8-bit pictures; others are upscaled in float32) or
            auto, which chooses bfloat16 where it is fast.
        device: cpu, cuda or auto.
        compression: How strongly the pictures were compressed, as the quality of a JPEG, 1 to 100;
            by default not at all. See `suited_to` for other sources.

    Attributes:
        r: The factor.
        strength: Which of the shipped weights it has.
        is_own: Whether it has a network of your own instead.
        engine: What runs the network on 8-bit pictures.

    Raises:
        ValueError: There are no such weights, `compression` is no quality or given with `ckpt`, or
            this machine does not support the engine, precision or device.
    """

    def __init__(
        self,
        r: int | None = None,
        ckpt: str | Path | None = None,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        compression: int | None = None,
    ) -> None:
        wanted = given_compression("none" if compression is None else compression)
        if wanted is None or (ckpt is not None and wanted != NONE):
            rule = "left out with `ckpt`, a network of your own" if ckpt else "a quality, 1 to 100"
            raise ValueError(f"`compression` (={compression}) must be {rule}")
        self._made_from: dict[str, Any] = {
            "r": r, "ckpt": ckpt, "engine": engine, "precision": precision, "device": device,
            "compression": compression,
        }  # fmt: skip
        factor = 3 if r is None else r
        self.strength = CLEAN if ckpt is not None else strength(factor, wanted)
        self.is_own = ckpt is not None
        network = load(r, ckpt).network if self.is_own else load_strength(factor, self.strength)
        self.r = network.r
        self._options = (engine, precision, device)
        self._process = _enter_process()
        self._filters: dict[float, Tensor] = {}
        self._use(network)
        self._siblings = {self.strength: self}  # one for each strength that was asked for
        self._making = threading.Lock()

    def suited_to(self, compression: Compression) -> "Upscaler":
        """Return an upscaler with the shipped weights that suit a compression.

        Args:
            compression: How the source was compressed.

        Returns:
            An upscaler with the same options, the same one each time; this one itself where it has
            a network of your own.
        """
        if self.is_own:
            return self
        return self._at(strength(self.r, compression))

    def _at(self, wanted: Strength) -> "Upscaler":
        """Return the sibling with these weights."""
        self._enter()
        with self._making:
            if wanted not in self._siblings:
                sibling = object.__new__(Upscaler)  # copied as it is
                sibling.__dict__.update(self.__dict__)
                sibling.strength = wanted
                sibling._use(load_strength(self.r, wanted), self.engine.lock)
                self._siblings[wanted] = sibling
            return self._siblings[wanted]

    def _enter(self) -> None:
        """Begin anew in a process that was forked: a lock may be held there for ever."""
        if self._process == os.getpid():
            return
        again = Upscaler(**self._made_from)
        self.__dict__.update((again if self.is_own else again._at(self.strength)).__dict__)

    def _use(self, network: ESPCN, lock: "threading.Lock | None" = None) -> None:
        """Make a network ready to run."""
        engine, precision, device = self._options
        self.engine = self._exact = Engine(network, engine, precision, device, lock)
        if self.engine.precision != "float32":
            self._exact = Engine(network, engine, "float32", device, self.engine.lock)

    def __repr__(self) -> str:
        weights = self._made_from["ckpt"] if self.is_own else self.strength
        return f"Upscaler(r={self.r}: {weights}; {self.engine})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self._made_from, self.strength)

    def __call__(self, picture: Any) -> Any:
        """Upscale a picture, or several.

        Args:
            picture: A NumPy array `(height, width)` or `(height, width, channels)`, or a batch of
                them: grey, grey and alpha, RGB, or RGB and straight alpha; uint8, uint16, or floats
                from 0 to 1. A tensor likewise, but `(channels, height, width)`. A PIL picture. A
                path of a picture file, which gives an array; how it was compressed is found out,
                unless the upscaler was made with `compression` or `ckpt`. Or a list of such.

        Returns:
            A picture r times as high and wide, of the same kind, type and channels; or a list.

        Raises:
            ValueError: `picture` is of another kind, type, shape or range, or the file is no
                picture.
        """
        if isinstance(picture, list | tuple):
            return [self(one) for one in picture]
        if isinstance(picture, str | Path):
            found = self._made_from["compression"] is None and not self.is_own
            suited = self.suited_to(picture_compression(Path(picture))) if found else self
            return suited(read_picture(Path(picture)))
        return apply(self._whole, picture)

    def _whole(self, pixels: np.ndarray) -> np.ndarray:
        """Upscale `(height, width, channels)`."""
        rows = self.bands(lambda top, bottom: pixels[top:bottom], *pixels.shape)
        return np.concatenate(list(rows))

    def bands(
        self, rows: Callable[[int, int], np.ndarray], height: int, width: int, channels: int
    ) -> Iterator[np.ndarray]:
        """Upscale a picture in bands, from top to bottom.

        Args:
            rows: Returns rows `top` to `bottom` of the picture, `(bottom - top, width, channels)`.
                It is called from top to bottom; successive calls overlap by the halo.
            height: The picture's height in pixels.
            width: Its width in pixels.
            channels: Its channels, 1 to 4.

        Yields:
            Upscaled rows, `(rows, r width, channels)`.
        """
        self._enter()
        r, beside = self.r, ((HALO, HALO), (0, 0))
        reach = REACH if channels in (2, 4) else 0
        for top, bottom in _parts(
            height, max(4, min(BAND // width, self.engine.tile // min(width, TILE_WIDTH)))
        ):
            above, below = min(top, HALO), min(height - bottom, HALO)
            if reach:  # colours come from farther away than what is upscaled
                first, last = max(0, top - above - reach), min(height, bottom + below + reach)
                held = bleed(rows(first, last))[top - above - first : bottom + below - first]
            else:
                held = rows(top - above, bottom + below)
            margins = ((HALO - above, HALO - below), *beside)
            # The network is trained on replicated borders; MATLAB's bicubic mirrors them.
            repeated, mirrored = (np.pad(held, margins, mode) for mode in ("edge", "symmetric"))
            band = np.empty((r * (bottom - top), r * width, channels), held.dtype)
            for left, right in _parts(width, TILE_WIDTH):
                context = slice(left, right + 2 * HALO)
                band[:, r * left : r * right] = self._tile(
                    repeated[:, context], mirrored[:, context]
                )
            yield band

    @torch.inference_mode()
    def _tile(self, repeated: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        """Upscale a tile, `(height + 8, width + 8, channels)`, given with both kinds of border.

        Luma and bicubic interpolation are both linear in RGB. Therefore the network's luma replaces
        the bicubic one if their difference, scaled, is added to bicubic RGB; chroma is unchanged.
        """
        deep = repeated.dtype != np.uint8
        engine = self._exact if deep else self.engine
        planes = grey_levels(mirrored, engine.device)
        whole = engine.precision != "float32"
        known = luma_levels(grey_levels(repeated, engine.device), whole)
        planes = torch.cat([planes, luma_levels(planes, whole)])
        inner = slice(HALO - BICUBIC_HALO, BICUBIC_HALO - HALO)
        large = F.conv2d(planes[:, None, inner, inner], self._bicubic(0.0, engine.device))
        colors, luma = large[:-1], large[-1]  # each plane (r^2, height, width)
        finer = engine(known[None])[0] - luma
        if len(colors) < 3:
            colors[0] += finer
        else:
            colors[:3] += RGB_FROM_LUMA * finer
        return self._laid_out(limited(colors, repeated.dtype))

    def _laid_out(self, preshuffled: Tensor) -> np.ndarray:
        """Shuffle `(channels, r^2, height, width)` into `(r height, r width, channels)`."""
        c, _, h, w = preshuffled.shape
        cells = preshuffled.cpu().reshape(c, self.r, self.r, h, w)
        return cells.permute(3, 1, 4, 2, 0).reshape(h * self.r, w * self.r, c).numpy()

    def _bicubic(self, across: float, device: torch.device) -> Tensor:
        if across not in self._filters:
            filters = bicubic_filters(self.r, across)
            # Ten times as fast in channels-last order, with one input channel.
            self._filters[across] = filters.to(
                device, torch.float32, memory_format=torch.channels_last
            )
        return self._filters[across]

    @torch.inference_mode()
    def luma(self, plane: np.ndarray, bits: int, large: np.ndarray) -> None:
        """Upscale a video's luma plane, of limited or full range.

        Args:
            plane: `(height, width)`, uint8 or uint16.
            bits: Bit depth, 8 or 10.
            large: The array to write to, `(r height, r width)`, or one row or column smaller.
        """
        self._enter()
        engine = self.engine if bits == 8 else self._exact
        # On a scale of 8 bits, 10-bit samples have two binary places: 64 to 940 becomes 16 to 235.
        levels = torch.from_numpy(plane).to(engine.device, torch.float32) / 2 ** (bits - 8)
        levels = F.pad(levels[None, None], [HALO] * 4, mode="replicate")
        height, width = plane.shape
        for top, bottom in _parts(height, max(16, engine.tile // width)):
            strip = engine(levels[..., top : bottom + 2 * HALO, :])[0]
            self._store(strip, bits, large[self.r * top : self.r * bottom])

    @torch.inference_mode()
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
        device = self.engine.device
        levels = torch.from_numpy(plane).to(device, torch.float32) / 2 ** (bits - 8)
        levels = F.pad(levels[None, None], [BICUBIC_HALO] * 4, mode="replicate")
        self._store(F.conv2d(levels, self._bicubic(shift, device))[0], bits, large)

    def _store(self, levels: Tensor, bits: int, large: np.ndarray) -> None:
        """Round preshuffled levels, `(r^2, height, width)`, and store them shuffled in an array."""
        samples = levels if bits == 8 else levels * 2 ** (bits - 8)
        kept = samples.round_().clamp_(0, 2**bits - 1).cpu()
        _, h, w = kept.shape
        # Converted before the shuffle, which then moves a quarter of the bytes.
        kind = torch.uint8 if bits == 8 else torch.int16
        cells = kept.to(kind).reshape(self.r, self.r, h, w).permute(2, 0, 3, 1)
        target = torch.from_numpy(large.view(np.int16) if bits > 8 else large)
        if large.shape == (self.r * h, self.r * w):
            target.unflatten(1, (w, self.r)).unflatten(0, (h, self.r)).copy_(cells)
        else:
            rows, columns = large.shape
            target.copy_(cells.reshape(self.r * h, self.r * w)[:rows, :columns])


def _enter_process() -> int:
    """Return the number of this process; have one thread if it was forked since the import.

    OpenMP's threads stay behind in the process that it was forked from, and are waited for here.
    """
    global _process
    if _process != os.getpid():
        torch.set_num_threads(1)
        _process = os.getpid()
    return _process


def _made_again(made_from: dict[str, Any], strength: Strength) -> Upscaler:
    """Make an upscaler in another process."""
    upscaler = Upscaler(**made_from)
    return upscaler if upscaler.is_own else upscaler._at(strength)


def _parts(length: int, most: int) -> list[tuple[int, int]]:
    """Divide a length into parts of nearly equal size, none larger than `most`."""
    count = math.ceil(length / most)
    ends = [length * number // count for number in range(count + 1)]
    return list(itertools.pairwise(ends))
