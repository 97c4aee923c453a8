"""How strongly videos by FFmpeg's encoders are found to be compressed."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from espcn.imaging.jpeg_traces import quality_quantizer
from espcn.network.strengths import NONE, Compression
from espcn.video.compression import VideoCompression
from espcn.video.frames import detail
from helpers import moving_photograph, with_a_gap, write_clip


def clip(path: Path, parts: list[dict[str, str]], codec: str, kind: str = "yuv420p") -> Path:
    """Write 40 frames for each set of options, one after the other, into one stream."""
    with av.open(str(path), "w") as container:
        for number, frame in enumerate(moving_photograph(40, 128, 96)):
            if number == 0:
                stream = container.add_stream(codec, rate=25, options=parts[0])
                stream.width, stream.height, stream.pix_fmt = 128, 96, kind
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(path: Path, given: Compression | None = None) -> tuple[list[Compression], str]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        meter, each = VideoCompression(stream, given), []
        for packet in container.demux(stream):
            meter.see_packet(packet)
            for frame in packet.decode():
                meter.see_frame(frame)
                each.append(meter())
    return each, meter.summary()


@pytest.mark.parametrize("qp", [18, 30, 42])
def test_h264_has_the_quantiser_of_its_macroblocks(tmp_path: Path, qp: int) -> None:
    options = {"qp": f"{qp}", "x264-params": "ipratio=1:pbratio=1"}
    each, summary = seen(clip(tmp_path / "a.mp4", [options], "libx264"))
    assert len(each) == 40
    assert all(one.codec == "h264" for one in each)
    assert each[-1].number == pytest.approx(qp, abs=1)
    assert summary == f"H.264, QP {qp} of 51"


def test_10_bits_have_the_quantisers_of_8(tmp_path: Path) -> None:
    found = []
    for kind in ("yuv420p", "yuv420p10le"):
        each, _ = seen(clip(tmp_path / f"{kind}.mp4", [{"crf": "23"}], "libx264", kind))
        found.append(each[-1].number)
    assert found[1] == pytest.approx(found[0], abs=2)


def test_change_of_quality_within_a_video_is_followed(tmp_path: Path) -> None:
    parts = []
    for qp in (20, 40):
        path = clip(tmp_path / f"{qp}.h264", [{"qp": f"{qp}"}], "libx264")
        parts.append(path.read_bytes())
    (tmp_path / "both.h264").write_bytes(b"".join(parts))
    each, summary = seen(tmp_path / "both.h264")
    assert len(each) == 80
    assert each[35].number < 24
    assert each[-1].number > 36
    assert summary.startswith("H.264, QP ")
    assert " to " in summary


@pytest.mark.parametrize(
    ("name", "codec", "options", "expected"),
    [
        ("a.mp4", "libx265", {"x265-params": "qp=30:ipratio=1:pbratio=1:log-level=error"}, "hevc"),
        ("a.webm", "libvpx-vp9", {"crf": "40", "b": "0"}, "vp9"),
        ("a.mkv", "libsvtav1", {"crf": "40", "preset": "10"}, "av1"),
        ("a.mkv", "mpeg4", {"b": "200k"}, "h264"),
        ("a.mkv", "ffv1", {}, "none"),
        ("a.avi", "zmbv", {}, "none"),
    ],
)
def test_other_codecs_say_it_in_their_headers_or_by_their_bits(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], expected: str
) -> None:
    kind = "bgr0" if codec == "zmbv" else "yuv420p"
    each, summary = seen(clip(tmp_path / name, [options], codec, kind))
    assert each[-1].codec == expected
    if expected == "hevc":
        assert each[-1].number == 30
    if codec == "mpeg4":
        assert "by its bit rate" in summary
    if expected == "none":
        assert summary == "no compression"


def test_bits_count_where_no_average_rate_is_given(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wmv", codec="wmv2", pts=with_a_gap)
    with av.open(str(path)) as container:
        assert not container.streams.video[0].average_rate
    each, summary = seen(path)
    assert {one.codec for one in each} == {"h264"}
    assert "by its bit rate" in summary


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_detail_of_frames_is_measured(tmp_path: Path, codec: str) -> None:
    each, _ = seen(clip(tmp_path / "a.mkv", [{"crf": "20"}], codec))
    plain = next(moving_photograph(1, 128, 96)).reformat(format="yuv420p")
    assert each[-1].detail == pytest.approx(detail(plain), rel=0.5)


def test_extremes_are_those_of_the_weights(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [{"qp": "30", "x264-params": "ipratio=1"}], "libx264")
    with av.open(str(path)) as container:
        meter = VideoCompression(container.streams.video[0])
        each = []
        for frame in container.decode(video=0):
            meter.see_frame(frame)
            each.append(meter().at_detail(1.0))
        weakest, strongest = meter.extremes()
    assert (weakest.at_detail(1.0), strongest.at_detail(1.0)) == (min(each), max(each))
    assert min(each) < max(each)


def test_frames_that_are_jpegs_have_their_quality(tmp_path: Path) -> None:
    path = clip(
        tmp_path / "a.avi", [{"qscale": "4", "qmin": "4", "qmax": "4"}], "mjpeg", "yuvj420p"
    )
    each, summary = seen(path)
    assert each[-1].codec == "jpeg"
    assert 50 < each[-1].number < 98
    assert summary == f"JPEG frames of quality {each[-1].number:.0f}"


def test_given_compression_is_not_looked_for(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [{"crf": "30"}], "libx264")
    each, summary = seen(path, Compression("jpeg", 50, "quality 50, as given"))
    assert {one.codec for one in each} == {"h264"}
    # In a real video, the same quantiser loses less than in an excerpt of a still.
    (number,) = {one.number for one in each}
    assert number == quality_quantizer(50) + 3
    assert summary == "quality 50, as given"


def test_detail_is_unknown_where_it_does_not_count(tmp_path: Path) -> None:
    each, _ = seen(clip(tmp_path / "a.mkv", [{"crf": "40", "preset": "10"}], "libsvtav1"))
    assert each[-1].codec == "av1"
    assert {one.detail for one in each} == {None}


def test_codec_that_is_not_known_has_no_compression() -> None:
    stream = SimpleNamespace(codec_context=None)
    meter = VideoCompression(stream)
    meter.see_packet(SimpleNamespace(size=0))
    assert meter() == NONE
