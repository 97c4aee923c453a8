"""How enlarged frames are written: the encoder, its quality, its speed."""

import os
from dataclasses import dataclass

import av

from espcn import checks

# Encoders that know a constant rate factor, and how each is told to be fast.
ENCODERS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=error"},
    "libsvtav1": {"preset": "10"},
    "libvpx-vp9": {"cpu-used": "5", "row-mt": "1", "b": "0"},
}


@dataclass(frozen=True)
class Encoding:
    """How frames are written: the encoder by FFmpeg's name, its quality and its speed.

    `codec` is one of `ENCODERS`, H.264 if not given, in WebM VP9. `crf` is the constant rate
    factor, the lower the better, `preset` the encoder's own word or number, a fast one if not
    given. Raises a ValueError if there is no such encoder.
    """

    codec: str | None = None
    crf: float = 18
    preset: str | None = None

    def __post_init__(self) -> None:
        there = [name for name in ENCODERS if name in av.codecs_available]
        if self.codec is not None and self.codec not in there:
            raise ValueError(
                f"`codec` (={self.codec}) must be an encoder that is there: take one of "
                f"{', '.join(there)}"
            )
        checks.number("crf", self.crf, "18 is the default, 0 the best")

    def within(self, container: str) -> tuple[str, dict[str, str]]:
        """Give the encoder and its options for a container of FFmpeg's."""
        codec = self.codec or ("libvpx-vp9" if container == "webm" else "libx264")
        if codec == "libsvtav1":  # which would say much of itself: errors alone
            os.environ.setdefault("SVT_LOG", "1")
        options = ENCODERS[codec] | {"crf": f"{self.crf:g}"}
        if self.preset is not None:
            options["cpu-used" if codec == "libvpx-vp9" else "preset"] = self.preset
        return codec, options
