"""How much detail a frame has."""

import av
import numpy as np
import pytest

from espcn.video.frames import detail


@pytest.mark.parametrize(
    ("kind", "depth"), [("gray", 8), ("yuv444p", 8), ("gray10le", 10), ("gray12le", 12)]
)
def test_detail_is_the_second_difference_along_rows(kind: str, depth: int) -> None:
    stripes = np.zeros((40, 30), np.uint16)
    stripes[:, ::2] = 10  # each differs by 10 from both of its neighbours
    frame = av.VideoFrame(30, 40, kind)
    for plane in frame.planes:
        kept = np.frombuffer(plane, np.uint8 if depth == 8 else "<u2").reshape(40, -1)
        kept[:, :30] = stripes << (depth - 8)
    assert detail(frame) == 20


def test_slopes_have_no_detail_and_neither_have_narrow_frames() -> None:
    slope = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (48, 1))
    assert detail(av.VideoFrame.from_ndarray(slope, "gray")) == 0
    assert detail(av.VideoFrame.from_ndarray(slope.T.copy(), "gray")) == 0  # nor along columns
    assert detail(av.VideoFrame.from_ndarray(slope[:, :2].copy(), "gray")) == 0
