"""The motion of a picture in a short clip, which a video encoder predicts only in part.

Encoders predict a frame from others by shifting their blocks. A still that is merely shifted is
predicted perfectly, so that its frames hardly lose anything beyond the first; what real cameras and
actors do is not. Weights that were trained on shifted stills were up to 0.3 dB worse on some soft
real clips than those that were trained on stills which also turn, grow and change their contrast.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SPEED = 2.0  # low-resolution pixels a frame, at most
TURN, ZOOM, GAIN = 0.04, 0.04, 0.02  # a frame, at most: radians, and logarithms of factors
GREY = 128  # the level that a change of contrast leaves as it is


@dataclass(frozen=True)
class Motion:
    """What happens to a picture from each frame to the next.

    Attributes:
        down: Shift in high-resolution pixels.
        right: Likewise.
        turn: Rotation about the centre in radians, clockwise.
        zoom: Natural logarithm of the magnification about the centre.
        gain: Natural logarithm of the factor of the contrast.
    """

    down: float = 0.0
    right: float = 0.0
    turn: float = 0.0
    zoom: float = 0.0
    gain: float = 0.0

    @classmethod
    def draw(cls, random: np.random.Generator, r: int) -> "Motion":
        """Draw a motion.

        Cubes of evenly drawn numbers make most motions slow, like those of most real videos. There,
        each frame refines the one before, and weights trained only on fast motion lost 0.5 dB on a
        talking head.

        Args:
            random: The source of the draws.
            r: The factor by which the frames are reduced afterwards.

        Returns:
            The motion.
        """
        speed, angle = SPEED * r * random.uniform() ** 3, random.uniform(0, 2 * math.pi)
        turn, zoom, gain = (most * random.uniform(-1, 1) ** 3 for most in (TURN, ZOOM, GAIN))
        return cls(speed * math.sin(angle), speed * math.cos(angle), turn, zoom, gain)

    def frame(self, picture: Tensor, number: int) -> Tensor:
        """Return a picture as a frame of the clip shows it, mirrored beyond its borders.

        Args:
            picture: uint8 `(channels, height, width)`.
            number: Of frames since the one that shows the picture as it is; negative before it.

        Returns:
            uint8, with the same shape.
        """
        if number == 0:
            return picture
        height, width = picture.shape[-2:]
        # Where each pixel comes from: in units of half the picture's sides, as PyTorch wants it.
        scale, angle = math.exp(-self.zoom * number), -self.turn * number
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        right, down = -2 * self.right * number / width, -2 * self.down * number / height
        back = [[cos, -sin * height / width, right], [sin * width / height, cos, down]]
        grid = F.affine_grid(torch.tensor([back]), [1, 1, height, width], align_corners=False)
        moved = F.grid_sample(
            picture[None].float(), grid, "bicubic", "reflection", align_corners=False
        )[0]
        moved = (moved - GREY) * math.exp(self.gain * number) + GREY
        return moved.round().clamp(0, 255).to(torch.uint8)
