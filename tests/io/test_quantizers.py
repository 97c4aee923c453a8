"""The numbers are those that the encoders were told to use."""

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image

from espcn.io.quantizers import HeaderQuantizers, jpeg_table, still_index
from espcn.io.vp8 import webp_index

# libvpx: the index of VP8 for each of its 64 quantisers (vp8/encoder/onyx_if.c, q_trans).
Q_TRANS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28,
           29, 30, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 64, 67, 70, 73,
           76, 79, 82, 85, 88, 91, 94, 97, 100, 103, 106, 109, 112, 115,
           118, 121, 124, 127)  # fmt: skip


def photograph() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut()[:256, 128:384])


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    photograph().save(file, kind, **options)
    return file.getvalue()


def encoded(path: Path, codec: str, options: dict[str, str], count: int = 6) -> Path:
    pixels = np.asarray(photograph())
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(count):
            crop = np.ascontiguousarray(pixels[number : 96 + number, 2 * number : 128 + 2 * number])
            frame = av.VideoFrame.from_ndarray(crop, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbers(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        quantizers = HeaderQuantizers(stream)
        found, frames = [], 0
        for packet in container.demux(stream):
            found.append(quantizers(packet))
            frames += len(packet.decode())  # the packet is left as it was
    assert frames == stream.frames or frames >= 6
    return [one for one in found if one is not None]


@pytest.mark.parametrize("quality", [20, 75, 98])
def test_table_of_luma_is_pillows(quality: int, tmp_path: Path) -> None:
    content = saved("JPEG", quality=quality)
    expected = np.array(Image.open(io.BytesIO(content)).quantization[0]).reshape(8, 8)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for source in (content, path):
        found = jpeg_table(source)
        assert found is not None
        np.testing.assert_array_equal(found, expected)


def test_other_files_have_no_table() -> None:
    assert jpeg_table(saved("PNG")) is None
    assert jpeg_table(b"not a picture") is None
    assert jpeg_table(b"\xff\xd8\xff\xe0 cut off") is None


@pytest.mark.parametrize("quantizer", [4, 20, 40, 63])
def test_index_of_webp_is_that_of_its_vp8_frame(quantizer: int, tmp_path: Path) -> None:
    q = str(quantizer)
    options = {"qmin": q, "qmax": q, "crf": q, "b": "1M"}
    path = encoded(tmp_path / "a.webm", "libvpx", options, 1)
    with av.open(str(path)) as container:
        frame = bytes(next(container.demux(video=0)))
    chunk = b"VP8 " + len(frame).to_bytes(4, "little") + frame + b"\0" * (len(frame) % 2)
    content = b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"WEBP" + chunk
    assert Image.open(io.BytesIO(content)).size == (128, 96)  # a WebP for others, too
    assert webp_index(content) == Q_TRANS[quantizer]


def test_index_of_webp_falls_with_its_quality() -> None:
    found = [webp_index(saved("WEBP", quality=quality)) for quality in (5, 30, 60, 80, 95)]
    assert None not in found
    assert found == sorted(found, reverse=True)
    assert found[0] > 80
    assert found[-1] < 15
    assert webp_index(saved("WEBP", lossless=True)) is None
    assert webp_index(saved("PNG")) is None
    assert webp_index(b"RIFF\0\0\0\0WEBPVP8 ") is None


@pytest.mark.parametrize("qp", [20, 35])
def test_quantisers_of_hevc_are_those_of_its_slices(qp: int, tmp_path: Path) -> None:
    options = {"x265-params": f"qp={qp}:ipratio=1:pbratio=1:log-level=error"}
    assert numbers(encoded(tmp_path / "a.mp4", "libx265", options)) == [qp] * 6


def test_indices_of_vp9_and_av1_rise_with_the_strength(tmp_path: Path) -> None:
    for codec, strengths in (("libvpx-vp9", (10, 50)), ("libsvtav1", (10, 50))):
        means = []
        for crf in strengths:
            options = {"crf": str(crf)} | (
                {"b": "0"} if codec == "libvpx-vp9" else {"preset": "10"}
            )
            found = numbers(encoded(tmp_path / f"{crf}.mkv", codec, options))
            assert all(0 <= one <= 255 for one in found)
            means.append(np.mean(found))
        assert means[0] + 40 < means[1]


def test_other_codecs_say_nothing(tmp_path: Path) -> None:
    assert numbers(encoded(tmp_path / "a.mkv", "mpeg4", {"qscale": "5"})) == []


def test_avif_says_its_index(tmp_path: Path) -> None:
    found = []
    for quality in (30, 90):
        path = tmp_path / f"{quality}.avif"
        path.write_bytes(saved("AVIF", quality=quality))
        codec, number = still_index(path) or ("", 0)
        assert codec == "av1"
        found.append(number)
    assert found[0] > found[1] + 60
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    assert still_index(tmp_path / "a.png") is None
    (tmp_path / "b.avif").write_bytes(b"no picture")
    assert still_index(tmp_path / "b.avif") is None


def test_webp_with_alpha_or_a_long_profile_says_its_index() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    file = io.BytesIO()
    alpha = photograph().convert("RGBA")
    alpha.putalpha(Image.fromarray(noise))
    alpha.save(file, "WEBP", quality=40, icc_profile=bytes(9000))
    assert file.getvalue().find(b"VP8 ") > 9000
    assert webp_index(file.getvalue()) == webp_index(saved("WEBP", quality=40))


def test_several_threads_read_the_same_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(saved("AVIF", quality=50))
    expected, level = still_index(path), av.logging.get_level()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(still_index, [path] * 100)) == {expected}
    assert av.logging.get_level() == level


def test_damaged_parameters_are_no_reason_to_lose_a_video(tmp_path: Path) -> None:
    options = {"x265-params": "qp=30:log-level=error"}
    whole = encoded(tmp_path / "a.mp4", "libx265", options).read_bytes()
    start = whole.find(b"hvcC")
    for place in range(start + 20, start + 130, 9):
        (tmp_path / "b.mp4").write_bytes(
            whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        )
        with suppress(av.FFmpegError), av.open(str(tmp_path / "b.mp4")) as container:
            stream = container.streams.video[0]
            packets = list(container.demux(stream))
            try:
                quantizers = HeaderQuantizers(stream)
                found = [quantizers(packet) for packet in packets]
            except av.FFmpegError as error:
                pytest.fail(str(error))
            assert quantizers.works or found == [None] * len(packets)
