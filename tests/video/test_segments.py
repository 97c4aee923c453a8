"""Segments of an unfinished video: used only whole, and only for what they were made from."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from espcn.video.segments import Segments


def packet(number: int) -> av.Packet:
    made = av.Packet(bytes([number]) * (100 + number))
    made.time_base = Fraction(1, 90_000)
    made.pts, made.dts, made.duration = 3600 * number, 3600 * number - 7200, 3600
    made.is_keyframe = number == 0
    return made


def write(segments: Segments, count: int) -> None:
    for number in range(count):
        writer = segments.write(number)
        for one in range(3):
            writer.add(packet(one))
        writer.finish()


def described(one: av.Packet) -> tuple[object, ...]:
    return one.pts, one.dts, one.duration, one.time_base, one.is_keyframe, bytes(one)


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    made = Segments(tmp_path / "clip.segments", {"crf": 18})
    write(made, 3)
    return made


def test_packets_come_back_as_they_were(segments: Segments) -> None:
    assert segments.count() == 3
    came = [described(one) for one in segments.read(1)]
    assert came == [described(packet(number)) for number in range(3)]


@pytest.mark.parametrize("place", [0, 150, 320, -9, -1])
def test_damaged_segment_and_those_after_it_are_not_used(segments: Segments, place: int) -> None:
    assert segments.folder is not None
    path = segments.folder / "000001"
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert segments.count() == 1
    assert [one.name for one in segments.folder.iterdir()] == ["000000"]


@pytest.mark.parametrize("length", [0, 5, 8, 200, -1])
def test_cut_segment_is_not_used(segments: Segments, length: int) -> None:
    assert segments.folder is not None
    path = segments.folder / "000002"
    path.write_bytes(path.read_bytes()[:length])
    assert segments.count() == 2


@pytest.mark.parametrize("listing", [b"1", b"[]", b"{}", b'{"sha256": 1, "packets": 2}'])
def test_file_that_lists_something_else_is_not_used(listing: bytes, tmp_path: Path) -> None:
    (tmp_path / "000000").write_bytes(listing + len(listing).to_bytes(8, "little"))
    assert Segments(tmp_path).count() == 0


def test_segments_of_other_settings_are_deleted(segments: Segments) -> None:
    assert segments.folder is not None
    assert Segments(segments.folder, {"crf": 20}).count() == 0
    assert not list(segments.folder.iterdir())
    assert Segments(segments.folder.with_name("none")).count() == 0


def test_segment_that_is_not_finished_leaves_nothing(segments: Segments) -> None:
    assert segments.folder is not None
    writer = segments.write(3)
    writer.add(packet(0))
    assert (segments.folder / "000003.part").is_file()
    assert segments.count() == 3  # as after a kill
    assert not (segments.folder / "000003.part").exists()
    writer.finish()  # what can't be kept is not, and is no error
    other = segments.write(3)
    other.add(packet(0))
    other.discard()
    other.finish()
    assert segments.count() == 3
    segments.remove()
    assert not segments.folder.exists()


def test_what_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for segments in (Segments(), Segments(tmp_path / "file" / "folder")):
        write(segments, 1)
        assert segments.count() == 0
        segments.remove()


def test_full_disk_ends_the_keeping_alone(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    segments = Segments(tmp_path / "clip.segments")
    segments.folder.mkdir()  # type: ignore[union-attr]
    (tmp_path / "clip.segments/000000.part").symlink_to(full)
    writer = segments.write(0)
    for _ in range(1000):
        writer.add(packet(0))
    writer.finish()
    assert segments.count() == 0
