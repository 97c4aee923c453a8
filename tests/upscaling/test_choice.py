"""What is found of a file's compression, in files written by Pillow, libvips and FFmpeg."""

import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import pyvips
import skimage.data
from PIL import Image

from espcn.imaging.jpeg_traces import quality_quantizer
from espcn.network.strengths import NONE, Compression, strength
from espcn.upscaling.choice import VideoCompression, given_compression, picture_compression
from helpers import moving_photograph


def photograph() -> np.ndarray:
    """Return a photograph made small, which has no traces of compression."""
    whole = Image.fromarray(skimage.data.astronaut())
    return np.asarray(whole.resize((256, 256), Image.Resampling.BICUBIC))


def found(tmp_path: Path, name: str, **options: object) -> Compression:
    path = tmp_path / name
    Image.fromarray(photograph()).save(path, **options)
    return picture_compression(path)


@pytest.mark.parametrize("quality", [20, 75, 96])
def test_jpeg_has_the_quality_of_its_table(tmp_path: Path, quality: int) -> None:
    one = found(tmp_path, "a.jpg", quality=quality)
    assert (one.codec, round(one.number, 3)) == ("jpeg", quality)
    assert str(one) == f"JPEG of quality {quality}"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif"])
def test_picture_that_was_never_compressed_is_clean(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name) == NONE


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_picture_that_was_a_jpeg_is_known_by_its_pixels(tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph()).save(file, "JPEG", quality=60)
    Image.open(file).save(tmp_path / name)
    one = picture_compression(tmp_path / name)
    assert (one.codec, one.number) == ("jpeg", pytest.approx(60, abs=1))
    assert str(one) == f"once a JPEG of quality {one.number:.0f}, by its pixels"


def test_16_bits_and_one_channel_are_looked_at_too(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph()[..., 1]).save(file, "JPEG", quality=50)
    deep = pyvips.Image.new_from_array(np.array(Image.open(file)).astype(np.uint16) * 257)
    deep.copy(interpretation="grey16").pngsave(str(tmp_path / "a.png"))
    assert picture_compression(tmp_path / "a.png").codec == "jpeg"
    clean = pyvips.Image.new_from_array(photograph()[..., 1].astype(np.uint16) * 257)
    clean.copy(interpretation="grey16").pngsave(str(tmp_path / "b.png"))
    assert picture_compression(tmp_path / "b.png") == NONE


def test_webp_and_avif_say_it_unless_they_lose_nothing(tmp_path: Path) -> None:
    webp, avif = found(tmp_path, "a.webp", quality=40), found(tmp_path, "a.avif", quality=40)
    assert (webp.codec, avif.codec) == ("webp", "avif")
    assert str(webp) == f"WebP with a quantiser (0 to 127) of {webp.number:.0f}"
    assert str(avif) == f"AV1 with a quantiser (0 to 255) of {avif.number:.0f}"
    assert found(tmp_path, "b.webp", lossless=True) == NONE


def test_heic_is_judged_as_a_still(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    heic = found(tmp_path, "a.heic", quality=40)
    assert heic.codec == "heic"
    assert str(heic) == f"HEVC with a quantiser (0 to 51) of {heic.number:.0f}"
    # The same quantiser leaves less in a still than in a video, which goes on improving it.
    as_video = Compression("hevc", heic.number)
    assert strength(3, heic).level > strength(3, as_video).level + 0.5


def test_wide_picture_is_judged_by_what_is_read_soon(tmp_path: Path) -> None:
    pixels = np.tile(photograph(), (60, 1, 1))  # its middle is 7,680 rows down
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=50)
    Image.open(file).save(tmp_path / "a.png", compress_level=1)
    assert picture_compression(tmp_path / "a.png").codec == "jpeg"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("none", NONE), (None, NONE), ("auto", None), ("40", 40), (40, 40)],
)
def test_compression_is_given_in_words_or_as_a_quality(wanted: object, expected: object) -> None:
    given = given_compression(wanted)  # type: ignore[arg-type]
    if isinstance(expected, int):
        assert given == Compression("jpeg", 40, "quality 40, as given")
    else:
        assert given == expected


@pytest.mark.parametrize("wanted", ["strong", "40%", 0, 101, True, 50.5])
def test_what_is_no_compression_is_refused(wanted: object) -> None:
    with pytest.raises(ValueError, match=r"`compression` \(=.*\) must be"):
        given_compression(wanted)  # type: ignore[arg-type]


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
    assert summary == f"H.264 with a quantiser (0 to 51) of {qp}"


def test_10_bits_have_the_quantisers_of_8(tmp_path: Path) -> None:
    found = []
    for kind in ("yuv420p", "yuv420p10le"):
        each, _ = seen(clip(tmp_path / f"{kind}.mp4", [{"crf": "23"}], "libx264", kind))
        found.append(each[-1].number)
    assert found[1] == pytest.approx(found[0], abs=2)


def test_damaged_table_is_no_reason_to_lose_a_picture(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph()).save(file, "JPEG", quality=75)
    content = bytearray(file.getvalue())
    start = content.find(b"\xff\xdb") + 5
    content[start : start + 64] = bytes(64)
    (tmp_path / "a.jpg").write_bytes(content)
    assert picture_compression(tmp_path / "a.jpg").number == 100


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
    assert summary.startswith("H.264 with a quantiser (0 to 51) of ")
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
        assert "by its bits" in summary
    if expected == "none":
        assert summary == "no compression"


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
    assert {one.number for one in each} == {quality_quantizer(50)}
    assert summary == "quality 50, as given"


def test_codec_that_is_not_known_has_no_compression() -> None:
    stream = SimpleNamespace(codec_context=None)
    meter = VideoCompression(stream)
    meter.see_packet(SimpleNamespace(size=0))
    assert meter() == NONE
