"""What is to be said of a result."""

from dataclasses import dataclass, field


@dataclass
class Remarks:
    """What is missing from a result, and what was found in its source.

    Attributes:
        left_out: What the target's format can't hold, and other properties that are not kept.
        damaged: What could not be read from the source.
        compression: How the source was compressed and which weights it got, in a phrase.
    """

    left_out: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    compression: str = field(default="", compare=False)
