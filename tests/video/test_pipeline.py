"""Videos: every frame at its time and in its own format; what is broken is said."""

import os
import re
import sys
from argparse import Namespace
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from espcn.network.weights import shipped
from espcn.upscaling.remarks import Remarks
from espcn.upscaling.size import LargeEnough, Size
from espcn.upscaling.upscaler import Upscaler
from espcn.video.compression import VideoCompression
from espcn.video.decoding import Seen
from espcn.video.encoder import SegmentedEncoder, timed
from espcn.video.encoding import MAX_CRF, Encoding
from espcn.video.frames import planar, upscale_frame
from espcn.video.pipeline import _write, upscale_video
from espcn.video.segments import Segments
from helpers import duration, frames, mean_error, packets, plane, write_clip

FAST = Encoding(preset="ultrafast")
VIDEOS = Path(os.environ["ESPCN_DATA"]).parent / "video" if "ESPCN_DATA" in os.environ else Path()


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu", compression="none")


def times(path: Path) -> list[float]:
    return [round(frame.time, 4) for frame in frames(path)]


@pytest.mark.parametrize(
    "kind", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"]
)
def test_every_frame_is_upscaled_in_its_own_format(
    kind: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    codec = "ffv1" if kind == "gray" else "libx264"
    source, target = write_clip(tmp_path / "a.mkv", kind=kind, codec=codec), tmp_path / "b.mkv"
    encoding = Encoding(crf=4, preset="ultrafast")
    assert upscale_video(upscaler, source, target, encoding=encoding) == Remarks()
    made = frames(target)
    # H.264's monochrome of full range is what FFmpeg reads as yuvj420p.
    assert [frame.format.name for frame in made] == ["yuvj420p" if kind == "gray" else kind] * 12
    assert [(frame.width, frame.height) for frame in made] == [(144, 96)] * 12
    assert times(target) == times(source)
    assert mean_error(source, target, 3) < 2  # grey levels


@pytest.mark.parametrize("size", [None, Size(scale=5)])
def test_white_stays_white_in_full_range(size: Size | None, tmp_path: Path) -> None:
    clip = tmp_path / "a.avi"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        page = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 255, np.uint8), format="rgb24")
        container.mux(stream.encode(page.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    upscaler = Upscaler(2, engine="torch", precision="float32", device="cpu", compression="none")
    upscale_video(upscaler, clip, tmp_path / "b.mkv", encoding=Encoding(crf=0), size=size)
    [large] = frames(tmp_path / "b.mkv")
    assert large.color_range == ColorRange.JPEG
    assert np.abs(plane(large).astype(int) - 255).max() <= 1


@pytest.mark.parametrize("kind", ["gray", "gray10le", "gray12le"])
@pytest.mark.parametrize("stated", [ColorRange.UNSPECIFIED, ColorRange.MPEG])
def test_grey_that_states_no_range_has_the_full_one(
    stated: ColorRange, kind: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    def prepare(_: Any, stream: Any) -> None:
        stream.codec_context.color_range = stated

    source = write_clip(tmp_path / "a.mkv", 2, kind=kind, codec="ffv1", prepare=prepare)
    upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=Encoding(crf=4))
    small, large = frames(source)[0], frames(tmp_path / "b.mkv")[0]
    assert small.color_range == stated
    assert large.color_range == (stated or ColorRange.JPEG)
    if not stated:
        shown, made = (frame.to_ndarray(format="rgb24") for frame in (small, large))
        assert made.mean() == pytest.approx(shown.mean(), abs=1)  # grey levels
        assert made.std() == pytest.approx(shown.std(), rel=0.05)


def test_chroma_is_upscaled_too(upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "a.mkv", count=2), tmp_path / "b.mkv"
    upscale_video(upscaler, source, target, encoding=Encoding(crf=4, preset="ultrafast"))
    for index in (1, 2):
        small, large = (plane(frames(path)[0], index).astype(float) for path in (source, target))
        assert large.shape == (48, 72)
        assert np.ptp(small) > 3
        cells = large.reshape(16, 3, 24, 3).mean((1, 3))
        assert np.abs(cells - small).mean() < 0.1 * np.ptp(small)


@pytest.mark.parametrize(
    ("kind", "codec"), [("yuvj420p", "mjpeg"), ("bgr0", "ffv1"), ("rgb24", "libx264rgb")]
)
def test_other_formats_become_planar_ones(
    kind: str, codec: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "a.mkv", kind=kind, codec=codec), tmp_path / "b.mkv"
    assert upscale_video(upscaler, source, target, encoding=FAST) == Remarks()
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt in ("yuvj420p", "yuv444p")
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    with av.open(str(source)) as container:
        small = next(container.decode(video=0)).to_ndarray(format="rgb24")
    cells = first.reshape(32, 3, 48, 3, 3).mean((1, 3))
    assert np.abs(cells - small).mean() < 8  # grey levels: the colours are the same


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nv12", "yuv420p"), ("yuva420p", "yuv420p"), ("yuv420p12le", "yuv420p10le"),
        ("p010le", "yuv420p10le"), ("rgb24", "yuv444p"), ("gbrp10le", "yuv444p10le"),
        ("gray16le", "gray10le"), ("pal8", "yuv444p"),
        ("yuyv422", "yuv422p"), ("yuv411p", "yuv444p"),
    ],
)  # fmt: skip
def test_nearest_planar_format(kind: str, expected: str) -> None:
    assert planar(av.VideoFormat(kind)) == expected


def test_odd_size_loses_a_row_and_a_column(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", size=(47, 31), kind="yuv420p", codec="ffv1")
    assert upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=FAST) == Remarks()
    assert {(frame.width, frame.height) for frame in frames(tmp_path / "b.mkv")} == {(140, 92)}
    assert mean_error(source, tmp_path / "b.mkv", 3) < 4


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(width=121), (120, 80)),  # even, as H.264 needs with chroma at half
        (Size(height=90), (134, 90)),
        (Size(scale=5), (240, 160)),
        (Size(screen="hd"), None),
    ],
)
def test_sizes_are_met(
    size: Size, expected: tuple[int, int] | None, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "a.mkv", count=3), tmp_path / "b.mkv"
    if expected is None:
        with pytest.raises(ValueError, match="become 1080 x 720 .* 16 times its 48 x 32"):
            upscale_video(upscaler, source, target, encoding=FAST, size=size)
        return
    assert upscale_video(upscaler, source, target, encoding=Encoding(crf=4), size=size) == Remarks()
    assert {(frame.width, frame.height) for frame in frames(target)} == {expected}
    assert times(target) == times(source)
    for small, large in zip(frames(source), frames(target), strict=True):
        again = large.reformat(48, 32, interpolation="AREA")
        assert np.abs(plane(again).astype(float) - plane(small)).mean() < 4  # grey levels


def test_size_is_that_of_what_is_shown(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "a.mp4", 2, prepare=lambda _, stream: stream.set_display_rotation(90)
    )
    upscale_video(upscaler, source, tmp_path / "b.mp4", encoding=FAST, size=Size(width=80))
    (first, *_) = frames(tmp_path / "b.mp4")
    assert (first.width, first.height) == (120, 80)  # shown upright, 80 x 120
    assert first.rotation == frames(source)[0].rotation
    with pytest.raises(LargeEnough, match="it is already 32 x 48 pixels"):
        upscale_video(upscaler, source, tmp_path / "c.mp4", encoding=FAST, size=Size(height=48))
    assert not (tmp_path / "c.mp4").exists()


@pytest.mark.parametrize("centred", [False, True])
def test_chroma_keeps_its_place_at_any_size(centred: bool) -> None:
    # By T91's weights: what others make of a slope is off by a quarter of a grey level.
    upscaler = Upscaler(ckpt=shipped(3), engine="torch", precision="float32", device="cpu")
    # Slopes, whose value is the place of a sample in luma columns, eight levels to each.
    slope = av.VideoFrame(96, 32, "yuv420p10le")
    slope.time_base = Fraction(1, 25)
    for index, own in enumerate(slope.planes):
        rows = np.frombuffer(own, np.uint16).reshape(-1, own.line_size // 2)
        place = np.arange(rows.shape[1]) * (1 if index == 0 else 2) + (index > 0) * centred / 2
        rows[:] = 8 * place + 100
    large = upscale_frame(upscaler, slope, centred, (200, 66))
    inner = np.arange(20, 80)
    wanted = {0: (inner + 0.5) * 96 / 200 - 0.5, 1: (2 * inner + 0.5) * 96 / 200 - 0.5}
    for index, places in wanted.items():
        found = (plane(large, index)[30, inner].astype(float) - 100) / 8
        assert np.abs(found - places).max() < 0.3
        assert abs((found - places).mean()) < 0.06


def test_variable_frame_rate_keeps_its_times(upscaler: Upscaler, tmp_path: Path) -> None:
    moments = [0, 40, 50, 300, 301, 500, 990, 1000, 1040, 1500, 1503, 2000]
    source = write_clip(tmp_path / "a.mkv", pts=lambda number: moments[number])
    for name in ("b.mkv", "b.mp4"):
        upscale_video(upscaler, source, tmp_path / name, encoding=FAST)
        assert times(tmp_path / name) == [moment / 1000 for moment in moments]
    source = write_clip(tmp_path / "a.mp4", pts=lambda number: moments[number])
    upscale_video(upscaler, source, tmp_path / "c.mp4", encoding=FAST)
    assert duration(tmp_path / "c.mp4") == pytest.approx(duration(source), abs=2e-3)


@pytest.mark.parametrize(("source", "target"), [("avi", "mkv"), ("mp4", "avi"), ("avi", "avi")])
def test_avi_counts_its_frames(
    source: str, target: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    # H.264 with frames out of order, for which AVI has no times.
    small = write_clip(tmp_path / f"a.{source}", codec="libx264", count=20, preset="veryfast")
    upscale_video(upscaler, small, tmp_path / f"b.{target}", encoding=Encoding(preset="ultrafast"))
    got = times(tmp_path / f"b.{target}")
    assert np.diff(got) == pytest.approx([0.04] * 19, abs=1e-3)
    assert got[0] <= 0.081
    assert mean_error(small, tmp_path / f"b.{target}", 3) < 3


@pytest.mark.parametrize(("codec", "preset"), [("mpeg4", ""), ("libx264", "medium")])
def test_frames_after_a_gap_in_avi_keep_their_times(
    codec: str, preset: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    slots = [*range(10), *range(30, 50)]
    source = write_clip(
        tmp_path / "a.avi", 30, pts=lambda number: 40 * slots[number], codec=codec, preset=preset
    )
    for name in ("b.mkv", "b.avi"):
        upscale_video(upscaler, source, tmp_path / name, encoding=FAST)
        with av.open(str(tmp_path / name)) as made:  # without frames out of order
            got = [packet.dts * packet.time_base for packet in made.demux(video=0) if packet.size]
        assert got == [Fraction(slot, 25) for slot in slots]


def test_wmv_has_the_times_of_its_source(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", pts=lambda number: 40 * number + 7 * (number % 2))
    upscale_video(upscaler, source, tmp_path / "b.wmv", encoding=Encoding())
    # All that it says is when the packet is decoded that a frame comes from.
    assert [frame.dts / 1000 for frame in frames(tmp_path / "b.wmv")] == times(source)


def test_webm_is_written_as_vp9(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.webm", codec="libvpx-vp9", sound="libopus")
    assert upscale_video(upscaler, source, tmp_path / "b.webm") == Remarks()
    with av.open(str(tmp_path / "b.webm")) as container:
        assert [one.codec_context.codec.canonical_name for one in container.streams] == [
            "vp9", "opus",
        ]  # fmt: skip
    assert mean_error(source, tmp_path / "b.webm", 3) < 3


def test_webm_of_ten_bits_is_written_as_av1(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.webm", 3, (64, 64), kind="yuv420p10le", codec="libsvtav1")
    assert upscale_video(upscaler, source, tmp_path / "b.webm") == Remarks()
    first = frames(tmp_path / "b.webm")[0]
    assert (first.width, first.format.name) == (192, "yuv420p10le")
    assert mean_error(source, tmp_path / "b.webm", 3) < 3


def test_preset_may_be_that_of_any_encoder_that_may_be_chosen(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    encoding = Encoding(preset="10")  # a number of SVT-AV1, and too high for VP9
    encoding.check("webm")
    source = write_clip(tmp_path / "a.webm", 3, (64, 64), kind="yuv420p10le", codec="libsvtav1")
    assert upscale_video(upscaler, source, tmp_path / "b.webm", encoding=encoding) == Remarks()
    for container, kind in (("webm", "yuv420p"), ("mp4", None)):
        with pytest.raises(ValueError, match=r"`preset` \(=10\) must be one of lib"):
            encoding.check(container, kind)


def test_damaged_frames_are_counted_and_the_rest_is_kept(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "a.mkv", count=24)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    (tmp_path / "bad.mkv").write_bytes(content)
    remarks = upscale_video(upscaler, tmp_path / "bad.mkv", tmp_path / "b.mkv", encoding=FAST)
    assert any("damaged" in words or "cut off" in words for words in remarks.damaged)
    assert 3 <= len(frames(tmp_path / "b.mkv")) <= 24


@pytest.mark.parametrize("ending", ["mkv", "flv"])
def test_cut_off_file_is_kept_as_far_as_it_goes(
    ending: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, cut = write_clip(tmp_path / f"a.{ending}", count=50), tmp_path / f"cut.{ending}"
    content = source.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    remarks = upscale_video(upscaler, cut, tmp_path / "b.mkv", encoding=FAST)
    assert any(words.startswith("the source is cut off after") for words in remarks.damaged)
    assert 15 <= len(frames(tmp_path / "b.mkv")) <= 30


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_late_beginning_is_no_cut(ending: str, upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / f"a.{ending}", pts=lambda number: 5000 + 40 * number)
    assert times(source)[0] >= 5
    assert upscale_video(upscaler, source, tmp_path / f"b.{ending}", encoding=FAST) == Remarks()
    assert times(tmp_path / f"b.{ending}")[0] >= 5


@pytest.mark.parametrize("count", [2, 12])
@pytest.mark.parametrize(
    ("ending", "codec", "preset"),
    [("wmv", "wmv2", ""), ("flv", "flv", ""), ("flv", "libx264", "medium")],
)
def test_slow_video_is_not_cut_off(
    ending: str, codec: str, preset: str, count: int, upscaler: Upscaler, tmp_path: Path
) -> None:
    plain = tmp_path / f"plain.{ending}"
    write_clip(plain, count, codec=codec, preset=preset, pts=lambda number: 2000 * number)
    source = tmp_path / f"a.{ending}"
    with av.open(str(plain)) as clip, av.open(str(source), "w") as made:
        stream = made.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream, packet.duration = stream, 2000  # of which the file states the sum
                made.mux(packet)
    assert upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=FAST) == Remarks()


def test_repeated_frame_is_not_damaged(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", codec="mjpeg", kind="yuvj420p")
    with av.open(str(source)) as clip, av.open(str(tmp_path / "a.nut"), "w") as made:
        stream = made.add_stream_from_template(clip.streams.video[0])
        for number, packet in enumerate(clip.demux(video=0)):
            if packet.size:
                sent = av.Packet(b"") if number == 5 else packet  # an empty one, as in Theora
                sent.pts, sent.dts, sent.time_base = packet.pts, packet.dts, packet.time_base
                sent.stream = stream
                made.mux(sent)
    assert (
        upscale_video(upscaler, tmp_path / "a.nut", tmp_path / "b.mkv", encoding=FAST) == Remarks()
    )
    assert times(tmp_path / "b.mkv") == [time for time in times(source) if time != 0.2]


def test_frame_that_lost_its_time_comes_after_the_one_before() -> None:
    made: list[Any] = []
    stream = Namespace(
        codec_context=Namespace(time_base=Fraction(1, 1000)),
        average_rate=Fraction(25),
        encode=lambda frame: [] if frame is None else made.append(frame.pts) or [],
    )
    flow = [Namespace(pts=pts, time_base=Fraction(1, 90000), duration=3600)
            for pts in (7200, None, 14400)]  # fmt: skip
    outgoing = Namespace(mux=lambda packets: None)
    encoder = SegmentedEncoder(stream, list, Segments(), 0)
    seen = Seen(VideoCompression(Namespace(codec_context=None)))
    assert list(_write(outgoing, encoder, {}, iter(flow), False, seen)) == [1, 2, 3]
    assert made == [80, 120, 160]


def test_damaged_sound_is_left_out_and_said(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.ts", sound="aac")
    content = source.read_bytes()
    at = [m.start() for m in re.finditer(rb"\xff\xf1", content)]  # ADTS, which begins a packet
    for place in at[3:5]:
        content = content[: place + 2] + b"\xff" + content[place + 3 :]
    (tmp_path / "bad.ts").write_bytes(content)
    remarks = upscale_video(upscaler, tmp_path / "bad.ts", tmp_path / "b.mkv", encoding=FAST)
    assert len(frames(tmp_path / "b.mkv")) == 12
    assert "1 damaged packet of sound or subtitles is missing" in remarks.damaged


def test_weights_follow_the_quality_within_a_video(tmp_path: Path) -> None:
    content = b""
    for qp in ("12", "48"):  # beyond both ends of the chain
        path = tmp_path / f"{qp}.h264"
        write_clip(
            path,
            40,
            (96, 64),
            prepare=lambda _, stream, qp=qp: setattr(stream, "options", {"qp": qp}),
        )
        content += path.read_bytes()
    (tmp_path / "both.h264").write_bytes(content)
    exact, made = Encoding(crf=0, preset="ultrafast"), {}
    for name, compression in {"followed": None, "none": "none", "strong": 1}.items():
        upscaler = Upscaler(2, None, "torch", "float32", "cpu", compression)
        target = tmp_path / f"{name}.mkv"
        remarks = upscale_video(upscaler, tmp_path / "both.h264", target, encoding=exact)
        made[name] = [plane(frame).copy() for frame in frames(target)]
        if compression is None:
            assert re.fullmatch(
                r"H.264, QP \d+ to \d+ of 51, weights video 0.[\d]+ to 3",
                remarks.compression,
            )
    assert np.array_equal(made["followed"][-1], made["strong"][-1])
    assert not np.array_equal(made["followed"][-1], made["none"][-1])
    assert not np.array_equal(made["followed"][5], made["strong"][5])


def test_stopping_leaves_nothing(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", count=30)

    def progress(done: int, total: int | None) -> None:
        assert total == 30
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=FAST, progress=progress)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_other_codecs(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv")
    encoding = Encoding("libx265", crf=20, preset="ultrafast")
    assert upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=encoding) == Remarks()
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    assert times(tmp_path / "b.mkv") == times(source)
    for name in ("b.mp4", "b.mov"):
        upscale_video(upscaler, source, tmp_path / name, encoding=encoding)
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].codec_context.codec_tag == "hvc1"  # plays on Apple's
        assert len(frames(tmp_path / name)) == 12


def test_what_is_not_a_video_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    target = tmp_path / "b.mkv"
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (text, empty):
        with pytest.raises(ValueError, match=f"{path.name} is not a complete video"):
            upscale_video(upscaler, path, target)
    sound = tmp_path / "sound.mka"
    with av.open(str(sound), "w", format="matroska") as container:
        stream = container.add_stream("flac", rate=48000, layout="mono", format="s16")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="has no video stream: nothing to upscale"):
        upscale_video(upscaler, sound, target)
    assert not target.exists()


@pytest.mark.parametrize("codec", sorted(MAX_CRF))
def test_largest_crf_is_the_encoders_own(codec: str, upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", count=2, size=(64, 64))
    sizes = []
    for crf in (20, MAX_CRF[codec]):
        upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=Encoding(codec, crf))
        sizes.append((tmp_path / "b.mkv").stat().st_size)
    assert sizes[1] < sizes[0]
    assert Encoding(crf=60).within("webm")[1]["crf"] == "60"  # of VP9, which goes further


def test_few_frames_are_decoded_when_they_are_shown() -> None:
    packets = [av.Packet(b"a"), av.Packet(b"b")]
    for number, packet in enumerate(packets):
        packet.pts, packet.dts = number, 4053601740247882039  # what x265 once said
    assert [packet.dts for packet in timed(packets, 3)] == [4053601740247882039] * 2
    assert [packet.dts for packet in timed(packets, 2)] == [0, 1]


@pytest.mark.parametrize("codec", sorted(MAX_CRF))
@pytest.mark.parametrize("count", [1, 2])
def test_shortest_videos_are_written(
    count: int, codec: str, upscaler: Upscaler, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "a.mkv", count=count, size=(64, 64))
    upscale_video(upscaler, source, tmp_path / "b.mp4", encoding=Encoding(codec, 20))
    with av.open(str(tmp_path / "b.mp4")) as made, av.open(str(source)) as read:
        times = [frame.time for frame in made.decode(video=0)]
        assert times == pytest.approx([frame.time for frame in read.decode(video=0)], abs=1e-3)
        assert len(times) == count


@pytest.mark.skipif(sys.platform != "linux", reason="priorities as Linux has them")
def test_encoder_takes_no_priority_over_all_else(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", count=3)
    policies = []

    def progress(done: int, total: int | None) -> None:
        found = set()
        for task in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # a thread of a test before, at its end
                found.add(os.sched_getscheduler(int(task.name)))
        policies.append(found)

    upscale_video(
        upscaler,
        source,
        tmp_path / "b.mkv",
        encoding=Encoding("libsvtav1", 50, "12"),
        progress=progress,
    )
    assert policies == [{os.SCHED_OTHER}] * 4  # before the first frame, and after each


def test_what_cannot_be_written_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", count=3)
    with pytest.raises(ValueError, match=r"`codec` \(=libfoo\) must be an available encoder"):
        Encoding("libfoo")
    with pytest.raises(ValueError, match="must end in one of .mp4"):
        upscale_video(upscaler, source, tmp_path / "b.txt")
    deep = write_clip(tmp_path / "deep.mkv", kind="yuv444p")
    for name, encoding, remedy in (
        ("b.mkv", Encoding("libsvtav1", 30, "12"), "choose libx264 or libx265 or libvpx-vp9"),
        (
            "b.avi",
            Encoding("libsvtav1"),
            "choose libx264 or libvpx-vp9, or name an .mkv file with -o",
        ),
        ("b.webm", Encoding("libx264"), "choose libvpx-vp9, or name an .mkv file with -o"),
        ("b.ts", Encoding("libvpx-vp9"), "choose libx264 or libx265, or name an .mkv file with -o"),
    ):
        rule = rf"`codec` \(={encoding.codec}\) must support yuv444p and be one that \w+ can hold"
        with pytest.raises(ValueError, match=f"{rule}: {remedy}$"):
            upscale_video(upscaler, deep, tmp_path / name, encoding=encoding)
    grey = write_clip(tmp_path / "grey.mkv", count=3, kind="gray", codec="ffv1")
    with pytest.raises(ValueError, match="must support gray and be .*: name an .mkv file with -o"):
        upscale_video(upscaler, grey, tmp_path / "b.webm")
    with pytest.raises(
        ValueError, match=r"`preset` \(=warp\) must be one of libx264's: ultrafast, s"
    ):
        upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=Encoding(preset="warp"))
    with pytest.raises(ValueError, match=r"`crf` \(=-1\) must be a number of at least 0"):
        Encoding(crf=-1)
    with pytest.raises(ValueError, match=r"`crf` \(=51.5\) must be at most 51 with libx264: 18"):
        upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=Encoding(crf=51.5))
    with pytest.raises(ValueError, match=r"`crf` \(=99\) must be at most 51 with libx264"):
        Encoding(crf=99)
    with pytest.raises(ValueError, match=r"`crf` \(=64\) must be at most 63 with libsvtav1"):
        Encoding("libsvtav1", 64)
    assert not list(tmp_path.glob(".*")) + list(tmp_path.glob("b.*"))


def test_absurd_size_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    # The size that Matroska states, changed: 48 x 32 pixels to 60000 x 60000.
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", count=2)
    content = source.read_bytes()
    assert content.count(b"\xb0\x81\x30") == content.count(b"\xba\x81\x20") == 1
    content = content.replace(b"\xb0\x81\x30", b"\xb0\x82\xea").replace(
        b"\xba\x81\x20", b"\xba\x82\xea"
    )
    source.write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        upscale_video(upscaler, source, tmp_path / "b.mkv", encoding=FAST)
    assert not (tmp_path / "b.mkv").exists()


@pytest.mark.skipif(not (VIDEOS / "bikes.mp4").is_file(), reason="needs the real clips")
@pytest.mark.parametrize(
    "name", ["carphone_pristine", "bikes", pytest.param("bigbuckbunny", marks=pytest.mark.slow)]
)
def test_real_clips(name: str, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    seconds = 0.6  # of each: the whole ones take minutes on one core
    with av.open(str(VIDEOS / f"{name}.mp4")) as whole, av.open(str(source), "w") as part:
        copies = {stream.index: part.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.size and packet.dts * packet.time_base < seconds:
                packet.stream = copies[packet.stream_index]
                part.mux(packet)
    assert upscale_video(upscaler, source, target, encoding=FAST) == Remarks()
    before, after = frames(source), frames(target)
    assert len(before) == len(after) > 10
    assert [f.time for f in after] == pytest.approx([f.time for f in before], abs=1e-4)
    assert {(f.width, f.height) for f in after} == {(3 * before[0].width, 3 * before[0].height)}
    assert mean_error(source, target, 3) < 3
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert abs(a.duration - b.duration) <= 40_000
        assert [s.type for s in a.streams] == [s.type for s in b.streams]
    if len(av.open(str(source)).streams) > 1:
        assert packets(target, "audio") == packets(source, "audio")
