"""How strongly pictures by Pillow, libvips and FFmpeg are found to be compressed."""

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
import skimage.data
from PIL import Image

from espcn.network.strengths import NONE, Compression, strength
from espcn.upscaling.compression import given_compression, picture_compression


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
    assert str(webp) == f"WebP, quantiser index {webp.number:.0f} of 127"
    assert str(avif) == f"AVIF, quantiser index {avif.number:.0f} of 255"
    assert found(tmp_path, "b.webp", lossless=True) == NONE


def test_heic_is_judged_as_a_still(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    heic = found(tmp_path, "a.heic", quality=40)
    assert heic.codec == "heic"
    assert str(heic) == f"HEIC, QP {heic.number:.0f} of 51"
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


def test_damaged_table_is_no_reason_to_lose_a_picture(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph()).save(file, "JPEG", quality=75)
    content = bytearray(file.getvalue())
    start = content.find(b"\xff\xdb") + 5
    content[start : start + 64] = bytes(64)
    (tmp_path / "a.jpg").write_bytes(content)
    assert picture_compression(tmp_path / "a.jpg").number == 100
