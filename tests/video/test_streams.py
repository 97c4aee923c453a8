"""What comes with a video: sound, subtitles, chapters, covers, metadata; what is lost is named."""

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.sidedata.sidedata import Type
from PIL import Image

from espcn.upscaling.remarks import Remarks
from espcn.upscaling.upscaler import Upscaler
from espcn.video.encoding import SIDE_DATA, Encoding
from espcn.video.pipeline import upscale_video
from helpers import duration, frames, packets, write_clip

FAST = Encoding(preset="ultrafast")


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu", compression="none")


def test_mp4_chapters_are_kept_and_losses_are_named(
    titled: Path, upscaler: Upscaler, tmp_path: Path
) -> None:
    upscale_video(upscaler, titled, tmp_path / "b.mp4", encoding=FAST)
    assert (
        upscale_video(Upscaler(2), tmp_path / "b.mp4", tmp_path / "c.mp4", encoding=FAST)
        == Remarks()
    )
    with av.open(str(tmp_path / "c.mp4")) as made:
        assert [c["metadata"]["title"] for c in made.chapters()] == ["Beginning", "End"]
    lost = upscale_video(upscaler, titled, tmp_path / "b.ts", encoding=FAST).left_out
    assert "its chapters, which mpegts can't hold" in lost
    clear = write_clip(tmp_path / "clear.mkv", kind="yuva420p", codec="ffv1")
    assert upscale_video(upscaler, clear, tmp_path / "d.mkv", encoding=FAST).left_out == [
        "its transparency"
    ]


def test_data_beside_chapters_is_said_to_be_lost(
    titled: Path, upscaler: Upscaler, tmp_path: Path
) -> None:
    with av.open(str(titled)) as source:
        chapters = source.chapters()

    def locate(made: Any, _: Any) -> None:
        made.set_chapters(chapters)
        stream = made.add_data_stream("bin_data")  # as cameras tell their place
        for moment in (0, 200):
            place = av.Packet(b"place")
            place.pts, place.dts, place.time_base = moment, moment, Fraction(1, 1000)
            place.stream = stream
            made.mux(place)

    source = write_clip(tmp_path / "a.mp4", prepare=locate)
    assert upscale_video(upscaler, source, tmp_path / "b.mp4", encoding=FAST).left_out == [
        "its stream 1 (data)"
    ]
    with av.open(str(tmp_path / "b.mp4")) as made:
        assert [c["metadata"]["title"] for c in made.chapters()] == ["Beginning", "End"]


@pytest.mark.parametrize(
    ("source", "ending", "container"),
    [
        ("a.mov", "mov", None), ("a.mov", "webm", None), ("a.mov", "avi", None),
        ("a.mp4", "mp4", None), ("a.mp4", "mkv", None), ("a.mp4", "3gp", "3gp"),
        ("a.mkv", "mov", None), ("a.mkv", "mkv", None), ("a.mkv", "ts", "mpegts"),
        ("a.avi", "avi", None), ("a.avi", "ts", "mpegts"), ("a.mp4", "flv", None),
        ("a.mov", "wmv", None), ("a.mp4", "mpg", "mpeg"),
    ],
)  # fmt: skip
def test_timecode_is_said_to_be_lost_only_where_it_is(
    source: str, ending: str, container: str | None, upscaler: Upscaler, tmp_path: Path
) -> None:
    words = [f"its timecode, which {container} can't hold"] if container else []
    clip = write_clip(
        tmp_path / source, 3,
        prepare=lambda made, stream: (made if source == "a.avi" else stream).metadata.update(
            timecode="01:02:03:04"
        ),
    )  # fmt: skip
    target = tmp_path / f"b.{ending}"
    assert upscale_video(upscaler, clip, target).left_out == words
    with av.open(str(clip)) as small, av.open(str(target)) as large:
        own = [] if source in ("a.avi", "a.mkv") else ["data"]
        assert [stream.type for stream in small.streams] == ["video", *own]
        tags = large.metadata | large.streams.video[0].metadata
        codes = [text for key, text in tags.items() if key.lower() == "timecode"]
        assert (codes == ["01:02:03:04"]) == (not words)
        assert len(large.streams) == (2 if ending in ("mov", "mp4") else 1)


@pytest.mark.parametrize(
    ("name", "codec", "options", "words"),
    [
        ("b.mkv", "libx265", {"x265-params": "max-cll=1000,400"}, ["its HDR mastering values"]),
        ("b.mkv", "libx264", {"x264-params": "frame-packing=3"}, ["its stereo 3D"]),
        ("b.mkv", "libx264", {"stereo_mode": "left_right"}, []),
        ("b.mp4", "libx264", {"stereo_mode": "left_right"}, ["its stereo 3D"]),
        ("b.mp4", "libx264", {"stereo_mode": "mono"}, []),
    ],
)
def test_side_data_that_is_lost_is_named(
    name: str, codec: str, options: dict[str, str], words: list[str], upscaler: Upscaler,
    tmp_path: Path,
) -> None:  # fmt: skip
    def prepare(_: Any, stream: Any) -> None:
        stream.options = options
        stream.metadata.update(options)  # of which Matroska takes "stereo_mode"

    source = write_clip(tmp_path / "a.mkv", 3, (64, 64), codec=codec, prepare=prepare)
    assert upscale_video(upscaler, source, tmp_path / name, encoding=FAST).left_out == words


def test_side_data_is_known_by_pyavs_names() -> None:
    assert {kind for kinds in SIDE_DATA.values() for kind in kinds} <= {kind.name for kind in Type}


def test_transparency_of_vp9_is_said_to_be_lost(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "a.webm", 3, kind="yuva420p", codec="libvpx-vp9",
        prepare=lambda _, stream: stream.metadata.update(alpha_mode="1"),
    )  # fmt: skip
    for name in ("b.webm", "b.mkv"):
        assert upscale_video(upscaler, source, tmp_path / name).left_out == ["its transparency"]
        with av.open(str(tmp_path / name)) as made:
            assert made.streams.video[0].metadata.keys() == {"DURATION"}


@pytest.mark.parametrize(
    ("ending", "sound"),
    [
        ("mp4", "aac"),
        ("mkv", "flac"),
        ("ts", "aac"),
        ("m2ts", "ac3"),
        ("mov", "aac"),
        ("m2ts", "pcm_bluray"),
    ],
)
def test_sound_is_copied(ending: str, sound: str, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / f"a.{ending}", sound=sound), tmp_path / f"b.{ending}"
    assert upscale_video(upscaler, source, target, encoding=FAST) == Remarks()
    before, after = packets(source, "audio"), packets(target, "audio")
    assert [content for _, content in after] == [content for _, content in before]
    shift = frames(target)[0].time - frames(source)[0].time  # of both alike, in some containers
    assert [time - shift for time, _ in after] == pytest.approx([t for t, _ in before], abs=2e-3)
    assert abs(duration(source) - duration(target)) <= 0.04


@pytest.fixture
def titled(tmp_path: Path) -> Path:
    """Return a clip with subtitles, chapters, a font, languages, a title."""
    (tmp_path / "a.srt").write_text(
        "1\n00:00:00,040 --> 00:00:00,200\nOne\n\n2\n00:00:00,240 --> 00:00:00,400\nTwo\n"
    )
    plain = write_clip(tmp_path / "plain.mkv", sound="aac")
    with (
        av.open(str(plain)) as clip,
        av.open(str(tmp_path / "a.srt")) as text,
        av.open(str(tmp_path / "titled.mkv"), "w") as made,
    ):
        copies = {
            (name, stream.index): made.add_stream_from_template(stream)
            for name, source in (("clip", clip), ("text", text))
            for stream in source.streams
        }
        copies["text", 0].metadata["language"] = "fre"
        made.add_attachment("font.ttf", "font/ttf", b"not a font")
        made.metadata["title"] = "A test"
        chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000)}
        made.set_chapters(
            [chapter | {"metadata": {"title": "Beginning"}},
             chapter | {"id": 2, "start": 200, "end": 480, "metadata": {"title": "End"}}]
        )  # fmt: skip
        for name, source in (("clip", clip), ("text", text)):
            for packet in source.demux():
                if packet.size:
                    packet.stream = copies[name, packet.stream_index]
                    made.mux(packet)
    return tmp_path / "titled.mkv"


def test_subtitles_chapters_and_titles_are_kept(
    titled: Path, upscaler: Upscaler, tmp_path: Path
) -> None:
    assert upscale_video(upscaler, titled, tmp_path / "b.mkv", encoding=FAST) == Remarks()
    for kind in ("audio", "subtitle"):
        assert packets(tmp_path / "b.mkv", kind) == packets(titled, kind)
    with av.open(str(titled)) as a, av.open(str(tmp_path / "b.mkv")) as b:
        assert b.metadata["title"] == "A test"
        assert [c["metadata"] for c in b.chapters()] == [{"title": "Beginning"}, {"title": "End"}]
        assert [(c["start"], c["end"]) for c in b.chapters()] == [
            (c["start"], c["end"]) for c in a.chapters()
        ]
        assert [s.type for s in b.streams] == [s.type for s in a.streams]
        assert b.streams.subtitles[0].metadata["language"] == "fre"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_cover_pictures_are_kept(kind: str, upscaler: Upscaler, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    source = write_clip(
        tmp_path / "a.mkv",
        prepare=lambda made, _: made.add_attachment("cover", f"image/{kind}", file.getvalue()),
    )
    for name in ("b.mkv", "b.mp4"):
        assert upscale_video(upscaler, source, tmp_path / name, encoding=FAST) == Remarks()
    assert (
        upscale_video(upscaler, tmp_path / "b.mp4", tmp_path / "c.mkv", encoding=FAST) == Remarks()
    )
    for name in ("b.mkv", "b.mp4", "c.mkv"):
        with av.open(str(tmp_path / name)) as made:
            cover = made.streams.video[1]
            assert cover.disposition & cover.disposition.attached_pic
            assert bytes(next(made.demux(cover))) == file.getvalue()


def test_what_the_container_cannot_hold_is_named(
    titled: Path, upscaler: Upscaler, tmp_path: Path
) -> None:
    remarks = upscale_video(upscaler, titled, tmp_path / "b.mp4", encoding=FAST)
    assert remarks.left_out == [
        "its stream 2 (subtitle srt), which mp4 can't hold: try .mkv",
        "its stream 3 (attachment), which mp4 can't hold: try .mkv",
    ]
    assert packets(tmp_path / "b.mp4", "audio") == packets(titled, "audio")
    assert len(frames(tmp_path / "b.mp4")) == 12


def test_statistics_of_the_source_are_not_kept(upscaler: Upscaler, tmp_path: Path) -> None:
    stale = {"BPS": "1", "NUMBER_OF_BYTES-eng": "2", "_STATISTICS_TAGS": "BPS", "ENCODER": "x"}
    source = write_clip(
        tmp_path / "a.mkv", 3,
        prepare=lambda _, stream: stream.metadata.update(stale, title="A test"),
    )  # fmt: skip
    upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=FAST)
    with av.open(str(source)) as small, av.open(str(tmp_path / "b.mkv")) as large:
        assert small.streams.video[0].metadata.items() >= stale.items()
        assert large.streams.video[0].metadata.keys() == {"title", "DURATION"}  # its own


def test_rotation_aspect_and_colors_are_kept(upscaler: Upscaler, tmp_path: Path) -> None:
    def prepare(_: Any, stream: Any) -> None:
        stream.set_display_rotation(90)
        context = stream.codec_context
        context.sample_aspect_ratio = Fraction(4, 3)
        context.color_range, context.colorspace = 1, 1
        context.color_primaries, context.color_trc = 1, 1

    for name in ("a.mp4", "a.mkv"):
        source, target = write_clip(tmp_path / name, prepare=prepare), tmp_path / f"b{name[1:]}"
        upscale_video(upscaler, source, target, encoding=FAST)
        first = frames(target)[0]
        assert first.rotation == frames(source)[0].rotation != 0
        assert (first.width, first.height) == (144, 96)
        assert (first.color_range, first.colorspace, first.color_primaries, first.color_trc) == (
            1, 1, 1, 1,
        )  # fmt: skip
        with av.open(str(target)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_turned_picture_is_moved_by_its_own_size(upscaler: Upscaler, tmp_path: Path) -> None:
    # A quarter turn about the corner, then to the right by the height, in units of 1 / 65536.
    turn = [0, 2**16, 0, -(2**16), 0, 0, 32 * 2**16, 0, 2**30]
    source = write_clip(
        tmp_path / "a.mp4", 3, prepare=lambda _, stream: stream.set_display_matrix(turn)
    )
    upscale_video(upscaler, source, tmp_path / "b.mp4", encoding=FAST)
    turn[6] *= 3
    assert bytes(frames(tmp_path / "b.mp4")[0].side_data["DISPLAYMATRIX"]) == struct.pack(
        "9i", *turn
    )
