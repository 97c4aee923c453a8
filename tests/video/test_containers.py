"""What a container can't hold is left out or rejected; what is written can be read again."""

from pathlib import Path

import av
import pytest

from espcn.upscaling.upscaler import Upscaler
from espcn.video.encoding import Encoding
from espcn.video.pipeline import upscale_video
from helpers import frames, write_clip

FAST = Encoding(preset="ultrafast")


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu", compression="none")


@pytest.mark.parametrize(
    ("ending", "sound", "lost"),
    [
        ("ts", "flac", "flac"),
        ("mpg", "aac", "aac"),
        ("mov", "flac", "flac"),
        ("mpg", "ac3", None),
        ("ts", "mp2", None),
        ("mp4", "flac", None),
    ],
)
def test_sound_that_could_not_be_read_again_is_left_out(
    ending: str, sound: str, lost: str | None, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "a.mkv", sound=sound), tmp_path / f"b.{ending}"
    remarks = upscale_video(upscaler, source, target, encoding=FAST)
    container = {"ts": "mpegts", "mpg": "mpeg"}.get(ending, ending)
    said = f"its stream 1 (audio {lost}), which {container} can't hold: try .mkv"
    assert remarks.left_out == ([said] if lost else [])
    assert len(frames(target)) == 12
    with av.open(str(target)) as made:
        assert [stream.type for stream in made.streams] == ["video"] + ["audio"] * (not lost)


@pytest.mark.parametrize(("ending", "container"), [("m2ts", "mpegts"), ("mpg", "mpeg")])
def test_second_video_that_could_not_be_read_again_is_left_out(
    ending: str, container: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    first = write_clip(tmp_path / "a.mkv", count=3)
    source, target = tmp_path / "two.mkv", tmp_path / f"b.{ending}"
    with av.open(str(first)) as small, av.open(str(source), "w") as two:
        copies = [two.add_stream_from_template(small.streams.video[0]) for _ in range(2)]
        for copy in copies:
            small.seek(0)
            for packet in small.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    two.mux(packet)
    remarks = upscale_video(upscaler, source, target, encoding=FAST)
    said = f"its stream 1 (video h264), which {container} can't hold: try .mkv"
    assert remarks.left_out == [said]
    assert len(frames(target)) == 3


@pytest.mark.parametrize("ending", ["ts", "mpg", "mov"])
def test_encoder_that_could_not_be_read_again_is_rejected(
    ending: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "a.mkv", count=3), tmp_path / f"b.{ending}"
    rule = r"`codec` \(=libvpx-vp9\) must .* be one that \w+ can hold: choose libx264 or libx265"
    with pytest.raises(ValueError, match=rule):
        upscale_video(upscaler, source, target, encoding=Encoding("libvpx-vp9"))
    assert not target.exists()
