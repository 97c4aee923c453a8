"""How upscaled frames are encoded, and their stream in the file."""

import os
import struct
from dataclasses import dataclass
from typing import Any

import av
from av.codec.context import Flags

from espcn import checks
from espcn.io.containers import (
    NO_REORDERING,
    ROTATION,
    STREAM_METADATA,
    TIMECODE,
    TIMECODE_OF_FILE,
    holds,
)
from espcn.upscaling.remarks import Remarks
from espcn.video.frames import color_range, even_size, frame_rate, is_rgb, planar

# Encoders with a constant rate factor, and their options for a fast preset.
ENCODERS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=error"},
    "libsvtav1": {"preset": "10"},
    "libvpx-vp9": {"cpu-used": "5", "row-mt": "1", "b": "0"},
}
_NAMED = [
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
]  # fmt: skip
PRESETS = {
    "libx264": _NAMED,
    "libx265": _NAMED,
    "libsvtav1": [str(number) for number in range(-1, 14)],
    "libvpx-vp9": [str(number) for number in range(-8, 10)],
}
# The largest constant rate factor, which is the poorest.
MAX_CRF = {"libx264": 51, "libx265": 51, "libsvtav1": 63, "libvpx-vp9": 63}

# What is said where frames have side data that their upscaled ones have not.
SIDE_DATA = {
    "its HDR mastering values": ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"),
    "its HDR10+ values": ("DYNAMIC_HDR_PLUS",),
    "its Dolby Vision": ("DOVI_RPU_BUFFER", "DOVI_METADATA"),
    "its spherical projection": ("SPHERICAL",),
}


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Args:
        codec: FFmpeg's name of one of `ENCODERS`; by default libx264, or in WebM libvpx-vp9, or
            libsvtav1 for formats that libvpx-vp9 does not support.
        crf: The constant rate factor, from 0 to that of MAX_CRF; lower is better.
        preset: The encoder's name or number of a speed preset; by default a fast one.

    Raises:
        ValueError: The encoder is unknown or not available, or does not support `crf` or `preset`.
    """

    codec: str | None = None
    crf: float = 18
    preset: str | None = None

    def __post_init__(self) -> None:
        there = [name for name in ENCODERS if name in av.codecs_available]
        if self.codec is not None and self.codec not in there:
            raise ValueError(
                f"`codec` (={self.codec}) must be an available encoder: choose one of "
                f"{', '.join(there)}"
            )
        checks.number("crf", self.crf, "18 is the default, 0 the best")
        too_much = self.crf > max(MAX_CRF.values())  # for any that might be chosen
        if self.codec is not None or too_much:
            refusal = self._refusal(self.codec or "libx264")
            if refusal is not None:
                raise ValueError(refusal)

    def within(self, container: str, kind: str = "yuv420p") -> tuple[str, dict[str, str]]:
        """Return the encoder and its options for a container.

        Args:
            container: The container's name in FFmpeg.
            kind: FFmpeg's name of the frames' format, by default that of most videos.

        Returns:
            The encoder's name and its options, which are the same on every machine.
        """
        usual = self._usual(container)
        suited = [name for name in usual if kind in _formats(name)]
        codec = (suited or usual)[0]
        options = ENCODERS[codec] | {"crf": f"{self.crf:g}"}
        if self.preset is not None:
            options["cpu-used" if codec == "libvpx-vp9" else "preset"] = self.preset
        return codec, options

    def check(self, container: str, kind: str | None = None) -> None:
        """Check that an encoder supports `crf` and `preset`.

        Args:
            container: The container's name in FFmpeg.
            kind: FFmpeg's name of the frames' format; if it is not known yet, it is enough that one
                of the encoders that may be chosen does.

        Raises:
            ValueError: It does not, or none does.
        """
        may_be = self._usual(container) if kind is None else [self.within(container, kind)[0]]
        refusals = [error for codec in may_be if (error := self._refusal(codec))]
        if len(refusals) == len(may_be):
            raise ValueError(refusals[0])

    def _usual(self, container: str) -> tuple[str, ...]:
        """Return the encoders that may be chosen for a container, the preferred one first."""
        if self.codec is not None:
            return (self.codec,)
        return ("libvpx-vp9", "libsvtav1") if container == "webm" else ("libx264",)

    def _refusal(self, codec: str) -> str | None:
        """Return why an encoder can't be used with these settings; None if it can."""
        if self.crf > MAX_CRF[codec]:
            return (
                f"`crf` (={self.crf:g}) must be at most {MAX_CRF[codec]} with {codec}: 18 is the "
                "default, and higher values lower the quality"
            )
        if self.preset is not None and self.preset not in PRESETS[codec]:
            choices = ", ".join(PRESETS[codec])
            return f"`preset` (={self.preset}) must be one of {codec}'s: {choices}"
        return None


def add_video_stream(
    outgoing: Any, video: Any, first: Any, size: tuple[int, int], codec: str,
    options: dict[str, str], remarks: Remarks,
) -> Any:  # fmt: skip
    """Add the upscaled stream to a file, with the properties of the original.

    Args:
        outgoing: The target, open for writing.
        video: The original stream.
        first: Its first frame.
        size: Width and height of its frames in pixels, even where the format requires it.
        codec: The encoder's name.
        options: Its options.
        remarks: Receives a remark on each property that can't be kept.

    Returns:
        The new stream.

    Raises:
        ValueError: The encoder does not support the frames' format, or the container the encoder.
    """
    kind, container = planar(first.format), outgoing.format.name
    suited = [
        name for name in ENCODERS if kind in _formats(name) and holds(outgoing, av.Codec(name, "w"))
    ]
    if codec not in suited:
        remedies = [f"choose {' or '.join(suited)}"] if suited else []
        remedies += ["name an .mkv file with -o"] if container != "matroska" else []
        raise ValueError(
            f"`codec` (={codec}) must support {kind} and be one that {container} can hold: "
            f"{', or '.join(remedies)}"
        )
    rate = frame_rate(video)
    stream = outgoing.add_stream(codec, rate=rate, options=options | _machine_options(codec))
    context = stream.codec_context
    context.width, context.height = even_size(*size, kind)
    context.pix_fmt = kind
    # AVI has no timestamps, only a frame rate.
    context.time_base = stream.time_base = 1 / rate if container == "avi" else video.time_base
    if codec == "libx265" and container in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # all that Apple's players take
    if container in NO_REORDERING:
        context.max_b_frames = 0
    context.flags |= Flags.frame_duration
    context.sample_aspect_ratio = video.sample_aspect_ratio or 0
    # RGB has been converted to limited-range BT.709 YCbCr; FFmpeg's number for both is 1.
    converted = is_rgb(first.format)
    context.color_range = 1 if converted else color_range(first)
    context.colorspace = 1 if converted else first.colorspace
    context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
    for key, text in video.metadata.items():
        if key.partition("-")[0].lower() not in STREAM_METADATA:  # "BPS-eng"
            stream.metadata[key] = text
    matrix = first.side_data.get("DISPLAYMATRIX")
    if matrix is not None and container in ROTATION:
        stream.set_display_matrix(_moved(matrix, context.width / first.width))
    remarks.left_out += _lost(video, first, container)
    return stream


def _machine_options(codec: str) -> dict[str, str]:
    """Return options that make an encoder deterministic and quiet on this machine."""
    if codec == "libsvtav1":  # log errors only
        os.environ.setdefault("SVT_LOG", "1")
    import torch

    if codec == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        # With AVX-512 and several threads x264's macroblock tree is not the same each time. Without
        # it nothing is slower.
        return {"x264-params": "asm=avx2"}
    return {}


def _moved(matrix: Any, ratio: float) -> list[int]:
    """Return a display matrix for a larger frame, with the translation scaled to its size."""
    entries = list(struct.unpack("9i", bytes(matrix)))
    entries[6:8] = [round(ratio * entry) for entry in entries[6:8]]
    return entries


def _lost(video: Any, first: Any, container: str) -> list[str]:
    """Name the properties of a video that its upscaled stream will lack."""
    tags = {key.lower(): text for key, text in video.metadata.items()}
    lost = {
        f"its rotation, which {container} can't hold": "DISPLAYMATRIX" in first.side_data
        and container not in ROTATION,
        # VP9's is a picture of its own, which is not decoded.
        "its transparency": any(one.is_alpha for one in first.format.components)
        or tags.get("alpha_mode") == "1",
        f"its timecode, which {container} can't hold": container not in TIMECODE + TIMECODE_OF_FILE
        and "timecode" in {*tags, *map(str.lower, video.container.metadata)},
        "its interlacing: its two fields were upscaled as one frame": first.interlaced_frame,
    }
    lost |= {
        words: any(kind in first.side_data for kind in kinds) for words, kinds in SIDE_DATA.items()
    }
    stereo = first.side_data.get("STEREO3D")
    lost["its stereo 3D"] = (
        stereo is not None
        and any(bytes(stereo)[:4])  # 0 is an ordinary picture
        and not ("stereo_mode" in tags and container in ("matroska", "webm"))
    )
    return [words for words, is_lost in lost.items() if is_lost]


def _formats(codec: str) -> list[str]:
    """Return the formats that an encoder supports; none if it is not available."""
    there = codec in av.codecs_available
    return [kind.name for kind in av.Codec(codec, "w").video_formats or []] if there else []
