"""Reading videos: what FFmpeg gives, and what it gives only when asked for the rest."""

from pathlib import Path

import av

from espcn.video.decoding import _rest, frame_count
from helpers import with_a_gap, write_clip


def test_frames_left_at_a_damaged_end_have_a_time(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", count=8, preset="medium")
    with av.open(str(source)) as incoming:
        video = incoming.streams.video[0]
        before = [f for p in incoming.demux(video) if p.size for f in p.decode()]
        rest = list(_rest(video))
        assert len(before) + len(rest) == 8
        assert rest
        assert {frame.time_base for frame in rest} == {video.time_base}
        assert list(_rest(video)) == []  # FFmpeg has an error for the second time


def test_frames_are_counted_where_no_average_rate_is_given(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.wmv", count=12, codec="wmv2", pts=with_a_gap)
    with av.open(str(source)) as incoming:
        video = incoming.streams.video[0]
        assert not video.average_rate
        assert frame_count(incoming, video) == 20  # the eight that are missing, too
