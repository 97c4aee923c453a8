"""The shipped weights besides those of T91, and which of them suits a source.

For each factor there are the clean weights; finer weights for clean sources, trained further on T91
and BSD200; and two chains of weights that were fine-tuned from the clean ones, on JPEGs and on
videos, each link for stronger compression than the one before. A level is a position on a chain: 0
is the clean weights, 1 the first link, 1.5 halfway between the first and the second. Linear
interpolation between two links gives a good network everywhere, so that a few files cover all
qualities. `pretrained/levels.json` maps each codec's numbers to levels; `benchmarks/calibrate.py`
measured them.
"""

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from espcn import checks
from espcn.imaging.jpeg_traces import quality_quantizer
from espcn.network.model import ESPCN
from espcn.network.weights import SHIPPED, load, shipped, shipped_files

STEP = 1 / 8  # levels are rounded to this, so that few networks serve all files
CHAINS = dict.fromkeys(("jpeg", "webp"), "jpeg") | dict.fromkeys(
    ("avif", "heic", "h264", "hevc", "vp9", "av1"), "video"
)


# What each codec's strength is called. A still's frame is predicted from no other, so that the same
# index means something else in AVIF than in AV1.
STRENGTHS = {
    "jpeg": "JPEG of quality {}",
    "webp": "WebP, quantiser index {} of 127",
    "avif": "AVIF, quantiser index {} of 255",
    "heic": "HEIC, QP {} of 51",
    "h264": "H.264, QP {} of 51",
    "hevc": "HEVC, QP {} of 51",
    "vp9": "VP9, quantiser index {} of 255",
    "av1": "AV1, quantiser index {} of 255",
}


# How much the detail of a video counts: with half as much of it, the best weights are those of a
# number higher by this much (benchmarks/detail.py). Encoders take finer steps where there is
# little, yet what they lose is more of what there is to see. AV1 promised no gain.
PER_OCTAVE = {"h264": 4.0, "hevc": 2.0, "vp9": 30.0}
USUAL_DETAIL = {2: 6.0, 3: 8.0, 4: 8.0}  # grey levels, at which `pretrained/levels.json` holds
DETAILS = (2.0, 18.0)  # beyond them nothing was measured, as for titles on black
# Of a real video, much of which stands still, a number higher by this much loses as much as of the
# moving excerpts by which levels are measured (benchmarks/detail.py).
STILLNESS = {"h264": 3.0, "hevc": 2.0, "vp9": 15.0}


@dataclass(frozen=True)
class Compression:
    """How strongly a source was compressed.

    Attributes:
        codec: `none`, or one of `CHAINS`.
        number: On the codec's scale; see `espcn.io.quantizers`. 0 for `none`.
        evidence: How it was detected, in a few words, where the codec and its number don't say it.
        detail: Of a video's frames, in grey levels: see `espcn.video.frames.detail`. None if it is
            unknown.

    Raises:
        ValueError: `codec` is unknown; the message lists the known ones.
    """

    codec: str = "none"
    number: float = 0.0
    evidence: str = field(default="", compare=False)
    detail: float | None = None

    def __post_init__(self) -> None:
        checks.choice("codec", self.codec, ("none", *CHAINS))

    def __str__(self) -> str:
        """Describe the compression.

        Returns:
            A phrase like "JPEG of quality 75".
        """
        if self.evidence:
            return self.evidence
        if self.codec == "none":
            return "no compression"
        return STRENGTHS[self.codec].format(f"{self.number:.0f}")

    def at_detail(self, detail: float) -> float:
        """Return the number that suits the same weights in a video of another detail.

        Args:
            detail: The other detail, in grey levels.

        Returns:
            The number, or this one's if the detail is unknown or does not count for the codec; 0
            where nothing is quantised, which needs no repair however smooth it is.
        """
        if self.detail is None or self.codec not in PER_OCTAVE or self.number == 0:
            return self.number
        octaves = math.log2(detail / float(np.clip(self.detail, *DETAILS)))
        return self.number + PER_OCTAVE[self.codec] * octaves

    def in_video(self) -> "Compression":
        """Return the compression of a real video that loses as much.

        Returns:
            For a JPEG's quality that of H.264; others as they are.
        """
        if self.codec != "jpeg":
            return self
        number = quality_quantizer(self.number) + STILLNESS["h264"]
        return Compression("h264", number, self.evidence)


NONE = Compression()


@dataclass(frozen=True)
class Strength:
    """A position on one of the chains of shipped weights.

    Attributes:
        chain: `jpeg` or `video`; for the clean weights `clean`, for the finer ones `finer`.
        level: The level on the chain; 0 for the clean weights, 1 for the finer ones.
    """

    chain: str = "clean"
    level: float = 0.0

    def __str__(self) -> str:
        """Name the weights.

        Returns:
            "clean weights", "finer weights", or text like "weights jpeg 1.5".
        """
        if self.chain == FINER.chain:
            return "finer weights"
        return f"weights {self.chain} {self.level:g}" if self.level else "clean weights"


CLEAN = Strength()
FINER = Strength("finer", 1.0)


def strength(r: int, compression: Compression) -> Strength:
    """Return the best weights for a compression.

    Args:
        r: The factor, one that weights are shipped for.
        compression: The compression.

    Returns:
        The position on its chain; if almost nothing was lost, FINER, which is better on held-out
        images than CLEAN, or CLEAN if there are no finer weights.

    Raises:
        ValueError: There are no weights for this factor.
    """
    if compression.codec == "none":
        return _finest(r)
    shipped(r)
    knots = sorted(levels()[compression.codec][str(r)])
    if compression.codec != "jpeg":
        knots = [[0.0, 0.0], *knots]  # what is not quantised is clean
    numbers, asked = zip(*knots, strict=True)
    number = compression.at_detail(USUAL_DETAIL[r])
    level = round(float(np.interp(number, numbers, asked)) / STEP) * STEP
    return Strength(CHAINS[compression.codec], level) if level else _finest(r)


def load_strength(r: int, wanted: Strength) -> ESPCN:
    """Load the shipped network for a factor and a strength.

    Args:
        r: The factor.
        wanted: The position on a chain; between two links, their weights are interpolated.

    Returns:
        The network, in evaluation mode, on the CPU.

    Raises:
        ValueError: There are no weights for this factor.
    """
    below = int(wanted.level)
    network = _link(r, wanted.chain, below)
    part = wanted.level - below
    if part:
        above = _link(r, wanted.chain, below + 1).state_dict()
        mixed = {name: own.lerp(above[name], part) for name, own in network.state_dict().items()}
        network.load_state_dict(mixed)
    return network


def given_strength(
    r: int, quality: int | str, ckpt: object = None, in_video: bool = False
) -> Strength:
    """Return the weights for sources of a quality given by the user.

    Args:
        r: The factor.
        quality: 1 to 100, for JPEGs, or for videos that lose about as much; `none` for clean
            sources.
        ckpt: The user's own weights, with which no quality may be given.
        in_video: Whether the sources are videos.

    Returns:
        The position on the chain.

    Raises:
        ValueError: The quality is invalid, there are no weights for this factor, or `ckpt` is
            given.
    """
    if quality != NONE.codec:
        checks.integer("compression", quality, 1, "a JPEG's quality, say 75, or none", most=100)
    if ckpt is not None:
        raise ValueError(
            f"`compression` (={quality}) chooses among the shipped weights: it must be left out "
            f"with `ckpt` (={ckpt})"
        )
    compression = NONE if quality == NONE.codec else Compression("jpeg", float(quality))
    return strength(r, compression.in_video() if in_video else compression)


def links(r: int) -> dict[str, Path]:
    """Return the shipped weight files for a factor.

    Args:
        r: The factor.

    Returns:
        Files by name: `clean`, then `finer1`, `jpeg1` and so on.
    """
    prefix = f"espcn_x{r}_"
    own = [path for path in shipped_files() if path.stem.startswith(prefix)]
    return {"clean": shipped(r)} | {path.stem.removeprefix(prefix): path for path in own}


@cache
def levels() -> dict[str, Any]:
    """Return the levels that suit each codec's numbers.

    Returns:
        Pairs of the codec's number and a level, by codec and then by factor (as text).
    """
    return json.loads((SHIPPED / "levels.json").read_text(encoding="utf-8"))


@cache
def _finest(r: int) -> Strength:
    return FINER if "finer1" in links(r) else CLEAN


def _link(r: int, chain: str, number: int) -> ESPCN:
    return load(r, links(r)["clean" if number == 0 else f"{chain}{number}"]).network
