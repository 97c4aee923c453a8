"""The motion of a still in a clip: where each pixel goes, how fast, and in which directions."""

import math
import zlib

import numpy as np
import pytest
import torch

from espcn.imaging.degradation import Degradation
from espcn.imaging.motion import Motion


def ramps(size: int = 65) -> torch.Tensor:
    """Return two planes that rise by two levels a pixel, downwards and to the right."""
    ramp = torch.arange(size, dtype=torch.uint8).expand(size, size) * 2 + 64
    return torch.stack([ramp.mT, ramp])


def drawn(count: int, r: int = 2) -> list[Motion]:
    random = np.random.default_rng(0)
    return [Motion.draw(random, r) for _ in range(count)]


def test_frame_0_is_the_picture_itself() -> None:
    picture = ramps()
    moved = Motion(2.0, 3.0, 0.1, 0.1, 0.1)
    assert torch.equal(moved.frame(picture, 0), picture)
    assert not torch.equal(moved.frame(picture, 1), picture)


def test_whole_shifts_go_down_and_right_and_are_mirrored_behind() -> None:
    picture = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4)
    expected = [[1, 0, 0, 1], [1, 0, 0, 1], [5, 4, 4, 5]]
    assert Motion(1.0, 2.0).frame(picture, 1).tolist() == [expected]
    assert Motion(0.5, 1.0).frame(picture, 2).tolist() == [expected]
    other = [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]
    assert Motion(0.0, -1.0).frame(picture, 1).tolist() == [other]
    assert Motion(0.0, 1.0).frame(picture, -1).tolist() == [other]


def test_turn_is_clockwise_about_the_centre_in_frames_of_any_shape() -> None:
    picture = torch.zeros(1, 81, 121, dtype=torch.uint8)
    picture[0, 38:43, 88:93] = 200  # 30 pixels to the right of the centre
    for number, (y, x) in {1: (55, 86), -1: (25, 86), 2: (66, 75), 3: (70, 60)}.items():
        frame = Motion(turn=math.pi / 6).frame(picture, number)[0].double()
        rows, columns = torch.meshgrid(torch.arange(81), torch.arange(121), indexing="ij")
        assert float((frame * rows).sum() / frame.sum()) == pytest.approx(y, abs=0.3)
        assert float((frame * columns).sum() / frame.sum()) == pytest.approx(x, abs=0.3)


def test_zoom_magnifies_about_the_centre() -> None:
    near = Motion(zoom=math.log(2)).frame(ramps(), 1).int()
    far = Motion(zoom=math.log(2)).frame(ramps(), -1).int()
    assert near[1, 32, 32] == far[1, 32, 32] == ramps()[1, 32, 32]
    assert near[1, 32, 42] - near[1, 32, 32] == 10  # one level a pixel
    assert far[1, 32, 42] - far[1, 32, 32] == 40
    assert near[0, 42, 32] - near[0, 32, 32] == 10
    twice = Motion(zoom=math.log(2) / 2).frame(ramps(), 2).int()
    assert torch.equal(twice, near)


def test_gain_changes_the_contrast_about_the_middle_grey() -> None:
    picture = torch.tensor([[[28, 128, 228]]], dtype=torch.uint8)
    assert Motion(gain=math.log(1.1)).frame(picture, 1).tolist() == [[[18, 128, 238]]]
    assert Motion(gain=math.log(1.1)).frame(picture, -1).tolist() == [[[37, 128, 219]]]
    assert Motion(gain=math.log(1.1) / 2).frame(picture, 2).tolist() == [[[18, 128, 238]]]
    assert Motion(gain=math.log(2)).frame(picture, 1).tolist() == [[[0, 128, 255]]]


def test_motions_are_mostly_slow_and_go_in_all_directions() -> None:
    motions = drawn(1000)
    assert len(set(motions)) == 1000
    speeds = np.array([math.hypot(one.down, one.right) / 2 for one in motions])
    # Twice the cube of an even number of 0 to 1, whose median is a quarter.
    assert 1.8 < speeds.max() <= 2
    assert np.median(speeds) == pytest.approx(0.25, abs=0.06)
    angles = np.sort([math.atan2(one.down, one.right) for one in motions])
    assert np.diff(angles, append=angles[0] + 2 * math.pi).max() < 0.3
    assert abs(np.exp(1j * angles).mean()) < 0.15  # no direction more often than the others
    for name, most in (("turn", 0.04), ("zoom", 0.04), ("gain", 0.02)):
        amounts = np.array([getattr(one, name) for one in motions])
        assert 0.9 * most < np.abs(amounts).max() <= most
        assert np.median(np.abs(amounts)) == pytest.approx(most / 8, rel=0.25)
        assert abs(np.median(amounts)) < most / 20  # both ways


def test_shifts_are_those_of_low_resolution_pixels() -> None:
    for two, four in zip(drawn(9, 2), drawn(9, 4), strict=True):
        assert (four.down, four.right) == pytest.approx((2 * two.down, 2 * two.right))
        assert (four.turn, four.zoom, four.gain) == (two.turn, two.zoom, two.gain)


def test_excerpt_shows_its_motion_evenly() -> None:
    """Ramps of two levels a pixel say how far the centre of each frame was moved."""
    picture, places = ramps(), set()
    for seed in range(40):
        frames, shown = Degradation(0, "decimate", h264=20).excerpt(picture[..., :64, :64], 2, seed)
        values = np.array([frame[:, 16, 16].numpy() for frame in frames], float)
        moved = (values[shown] - values) / 2  # in high-resolution pixels
        steps = np.arange(len(frames)) - shown
        random = np.random.default_rng([seed, zlib.crc32(picture[..., :64, :64].numpy().tobytes()),
                                        zlib.crc32(b"motion")])  # fmt: skip
        assert random.integers(16) == shown
        motion = Motion.draw(random, 2)
        expected = np.outer(steps, (motion.down, motion.right))
        close = np.abs(expected).max(1) < 12  # elsewhere the border is mirrored
        assert close.sum() > 3
        assert np.abs(moved - expected)[close].max() <= 1.5
        places.add(shown)
    assert len(frames) == 16
    assert len(places) > 12
