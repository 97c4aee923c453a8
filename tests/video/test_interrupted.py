"""A video that was interrupted goes on, and the file is that of one left alone."""

import signal
import time
from pathlib import Path

import av
import pytest

from espcn.upscaling.upscaler import Upscaler
from espcn.video import encoder, pipeline
from espcn.video.encoding import Encoding
from espcn.video.pipeline import upscale_video
from espcn.video.segments import SEGMENT, Segments
from forked import Forked, fork
from helpers import write_clip


class Interrupted(Exception):
    pass


def content(path: Path) -> dict[int, list[tuple[object, ...]]]:
    """Return the packets of each stream: times, length in time, and what they hold."""
    with av.open(str(path)) as container:
        found: dict[int, list[tuple[object, ...]]] = {}
        for one in container.demux():
            if one.size:
                row = (one.pts, one.dts, one.duration, one.is_keyframe, bytes(one))
                found.setdefault(one.stream.index, []).append(row)
        return found


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(2, engine="torch", precision="float32", device="cpu", compression="none")


def upscale(
    upscaler: Upscaler, source: Path, target: Path, codec: str, segments: Segments | None = None,
    until: int | None = None,
) -> list[int]:  # fmt: skip
    """Upscale up to a frame; return what progress was told."""
    told: list[int] = []

    def progress(done: int, total: int | None) -> None:
        told.append(done)
        if until is not None and done >= until:
            raise Interrupted

    try:
        encoding = Encoding(codec)
        upscale_video(upscaler, source, target, None, encoding, progress, segments)
    except Interrupted:
        assert not target.exists()
    return told


def shorten(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Make segments of so many frames: of few, a test takes less time."""
    for module in (encoder, pipeline):
        monkeypatch.setattr(module, "SEGMENT", length)


def jumping(number: int) -> int:
    """Return irregular times, with long and short frames where segments of 50 frames meet."""
    return 40 * number + (17 * number) % 23 + 900 * (number // 49) + 15 * (number // 51)


@pytest.mark.parametrize(
    ("codec", "ending", "sound", "is_irregular", "length"),
    [
        pytest.param("libx264", ".mp4", "aac", False, SEGMENT, marks=pytest.mark.slow),
        ("libx264", ".mkv", "flac", True, 50),
        ("libx264", ".avi", "mp3", False, 50),
        ("libx265", ".mp4", None, True, 50),
        ("libvpx-vp9", ".webm", "libopus", False, 50),
        ("libsvtav1", ".mkv", None, True, 50),
    ],
)
def test_interrupted_video_goes_on_to_the_same_file(
    upscaler: Upscaler, tmp_path: Path, codec: str, ending: str, sound: str | None,
    is_irregular: bool, length: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shorten(monkeypatch, length)
    count = 2 * length + 20
    options = {"pts": jumping} if is_irregular else {}
    source = write_clip(tmp_path / "clip.mkv", count, (48, 48), sound=sound, **options)  # type: ignore[arg-type]
    alone, cut = tmp_path / f"alone{ending}", tmp_path / f"cut{ending}"
    upscale(upscaler, source, alone, codec)
    segments = Segments(tmp_path / "segments", {"clip": 1})
    begun = []
    for until in (length // 2, length + 10, 2 * length + 10, None):
        told = upscale(upscaler, source, cut, codec, segments, until)
        begun.append(told[0])
        assert told == sorted(told)
    assert begun == [0, 0, length, 2 * length]
    assert content(cut) == content(alone)
    assert max(map(len, content(cut).values())) >= count
    assert not (tmp_path / "segments").exists()


def test_avi_with_dropped_frames_goes_on_to_the_same_file(
    upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 50)
    source = write_clip(
        tmp_path / "clip.avi", 70, (48, 48), codec="mpeg4",
        pts=lambda number: 40 * (number + 20 * (number >= 30) + 20 * (number >= 60)),
    )  # fmt: skip
    alone, cut = tmp_path / "alone.mkv", tmp_path / "cut.mkv"
    upscale(upscaler, source, alone, "libx264")
    segments = Segments(tmp_path / "segments", {"clip": 1})
    upscale(upscaler, source, cut, "libx264", segments, 60)
    assert upscale(upscaler, source, cut, "libx264", segments)[0] == 50
    assert content(cut) == content(alone)
    assert 40 * (69 + 40) in [row[0] for row in content(cut)[0]]


@pytest.mark.parametrize(("ending", "length"), [(".m2ts", 192), (".MTS", 192), (".ts", 188)])
def test_transport_stream_has_the_packets_of_its_name(
    upscaler: Upscaler, tmp_path: Path, ending: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 50)
    source, target = write_clip(tmp_path / "clip.mkv", 60, (48, 48)), tmp_path / f"cut{ending}"
    segments = Segments(tmp_path / "segments", {"clip": 1})
    upscale(upscaler, source, target, "libx264", segments, 55)
    assert upscale(upscaler, source, target, "libx264", segments)[0] == 50
    written = target.read_bytes()
    assert len(written) % length == 0
    # Of 192 bytes, the first 4 are a time; what follows is the packet, which begins with "G".
    assert set(written[length - 188 :: length]) == set(b"G")


@pytest.fixture
def cut(upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a clip and the target of its upscaling, of which one segment is kept."""
    shorten(monkeypatch, 50)
    source, target = write_clip(tmp_path / "clip.mkv", 70, (64, 64)), tmp_path / "cut.mkv"
    segments = Segments(tmp_path / "segments", {"clip": 1})
    upscale(upscaler, source, target, "libx264", segments, 60)
    return source, target


def test_other_settings_begin_anew(
    upscaler: Upscaler, tmp_path: Path, cut: tuple[Path, Path]
) -> None:
    other = Segments(tmp_path / "segments", {"clip": 2})
    assert upscale(upscaler, *cut, "libx264", other, 10)[0] == 0
    upscale(upscaler, *cut, "libx264", other, 60)
    assert upscale(upscaler, *cut, "libx265", other, 10)[0] == 0


def test_number_of_threads_does_not_begin_anew(
    upscaler: Upscaler, tmp_path: Path, cut: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    segments = Segments(tmp_path / "segments", {"clip": 1})
    assert upscale(upscaler, *cut, "libx264", segments, 60)[0] == 50


# The command with segments of 50 frames, as `shorten` makes them here.
SHORTENED = """
from espcn.command.cli import main
from espcn.video import encoder
from espcn.video import pipeline

encoder.SEGMENT = pipeline.SEGMENT = 50
main()
"""


@pytest.mark.slow
def test_ten_kills_leave_the_same_file(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mkv", 650, (48, 48), sound="aac")
    alone, cut = tmp_path / "alone.mp4", tmp_path / "cut.mp4"
    command = ("-c", SHORTENED, str(source), "-r", "2", "-o")
    done = fork(*command, str(alone))
    assert done.returncode == 0, done.stderr
    kept = tmp_path / ".espcn/cut.mp4.segments"
    for number in range(10):
        with Forked(*command, str(cut)) as upscaling:
            upscaling.wait_until((kept / f"{number:06}").exists)
            time.sleep(0.01 * number)  # at some moment within the next segment
            upscaling.signal(signal.SIGKILL if number % 2 else signal.SIGINT)
            done = upscaling.finish()
        if number:
            assert f"Resuming {cut} after frame " in done.stdout + done.stderr
        assert done.returncode == (-signal.SIGKILL if number % 2 else 130)
        if number % 2 == 0:
            assert f"a video up to its last multiple of {SEGMENT} frames" in done.stderr
        assert not cut.exists()
    done = fork(*command, str(cut))
    assert done.returncode == 0, done.stderr
    assert content(cut) == content(alone)
    assert not kept.exists()
    assert not list(tmp_path.glob(".*.part"))
