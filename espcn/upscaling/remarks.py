"""Remarks on a result."""

from dataclasses import dataclass, field


@dataclass
class Remarks:
    """Remarks on a result and its source.

    Attributes:
        left_out: Properties that the target's format does not support, or that are not kept.
        damaged: Parts of the source that could not be read.
        compression: How the source was compressed and which weights were used, in a phrase.
    """

    left_out: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    compression: str = field(default="", compare=False)
