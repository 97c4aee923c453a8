"""How coarsely a file was quantised, read from the file itself, on its codec's scale.

| codec | number |
|---|---|
| jpeg | libjpeg's quality, 1 to 100, from the quantisation table of luma |
| webp | VP8's quantiser index, 0 to 127 |
| h264, hevc | the quantisation parameter (QP), 0 to 51 |
| vp9, av1 | the quantiser index, 0 to 255 |
"""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
from av.bitstream import BitStreamFilterContext
from PIL.JpegImagePlugin import JpegImageFile

TRACED = ("hevc", "vp9", "av1")
# Messages and metadata are taken out before the trace, which writes a line for each of their bytes.
_FILTERS = {
    "hevc": "filter_units=remove_types=39-40,trace_headers",
    "vp9": "trace_headers",
    "av1": "filter_units=remove_types=5,trace_headers",
}
_LOG = threading.Lock()
# What FFmpeg calls the quantisers in its trace of the headers.
_NAMED = re.compile(r"\b(init_qp_minus26|slice_qp_delta|base_q_idx)\b.*= (-?\d+)")


def jpeg_table(source: Path | bytes) -> np.ndarray | None:
    """Return the quantisation table of a JPEG's luma.

    Args:
        source: A picture file, or its content.

    Returns:
        Steps in grey levels, `(8, 8)`, row by row; None if the source is not a JPEG.
    """
    try:
        # Not by Image.open, which warns of many pixels. Only the headers are read.
        with JpegImageFile(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            return luma_table(picture)
    except (OSError, ValueError, SyntaxError, LookupError):
        return None


def luma_table(picture: JpegImageFile) -> np.ndarray | None:
    """Return the quantisation table of the luma of a JPEG that Pillow has opened.

    Args:
        picture: The picture.

    Returns:
        Steps in grey levels, `(8, 8)`, row by row; None if it has none.
    """
    try:
        tables, index = picture.quantization, picture.layer[0][3]  # the first component's
        return np.array(tables[index]).reshape(8, 8)
    except (ValueError, LookupError):
        return None


class HeaderQuantizers:
    """Reads quantisation parameters from the headers of a video stream, with FFmpeg's parser.

    Args:
        stream: A PyAV video stream. Nothing is read if its codec is not HEVC, VP9 or AV1, or if its
            parameters are damaged.
    """

    def __init__(self, stream: Any) -> None:
        self.codec = stream.codec_context.codec.canonical_name
        self._base = 26  # of HEVC, to which a slice adds
        self._filter: Any = None
        if self.codec in TRACED:
            try:
                with _trace() as lines:  # of the parameters that stand before the first packet
                    self._filter = BitStreamFilterContext(_FILTERS[self.codec], stream)
                self._numbers(lines)
            except av.FFmpegError:
                self._filter = None

    @property
    def works(self) -> bool:
        """Whether the stream's headers can be read."""
        return self._filter is not None

    def __call__(self, packet: Any) -> float | None:
        """Return the mean quantisation parameter of a packet's slices or frames.

        Args:
            packet: A packet of the stream, which is not changed.

        Returns:
            The number; None if its headers contain none.
        """
        if self._filter is None or not packet.size:
            return None
        try:
            with _trace() as lines:
                self._filter.filter(av.Packet(bytes(packet)))  # it empties what it is given
        except av.FFmpegError:
            self._filter.flush()
            return None
        found = self._numbers(lines)
        return float(np.mean(found)) if found else None

    def _numbers(self, lines: list[Any]) -> list[int]:
        found = []
        for _, _, text in lines:
            named = _NAMED.search(text)
            if named is None:
                continue
            if named[1] == "init_qp_minus26":
                self._base = 26 + int(named[2])
            else:
                found.append(int(named[2]) + (self._base if named[1] == "slice_qp_delta" else 0))
        return found


@contextmanager
def _trace() -> Iterator[list[Any]]:
    """Collect FFmpeg's log on this thread, including its trace of headers.

    Only one thread at a time, because the log level is global to the process.
    """
    with _LOG:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with av.logging.Capture() as lines:
                yield lines
        finally:
            av.logging.set_level(level)


def still_index(path: Path) -> tuple[str, float] | None:
    """Return the codec and the quantisation parameter of an AVIF or HEIC file.

    Args:
        path: The file.

    Returns:
        `av1` or `hevc`, and the number; None if it can't be read.
    """
    try:
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            quantizers = HeaderQuantizers(stream)
            for packet in container.demux(stream):
                found = quantizers(packet)
                if found is not None:
                    return quantizers.codec, found
    except (av.FFmpegError, IndexError):
        pass
    return None
