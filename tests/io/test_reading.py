"""Expected samples come from Pillow, tifffile or numpy, never from the reader that is tested."""

import io
import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms, ImageOps

from espcn.io.reading import SUFFIXES, jpeg_damage, open_picture, read_picture

y, x = np.mgrid[0:48, 0:64]
RGB = np.stack([x * 4, y * 5, (x + y) * 2], axis=2).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def encode(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def ppm(header: str, samples: np.ndarray) -> bytes:
    return header.encode() + samples.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_samples_of_8_bits_are_kept(kind: str, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(RGB[..., 1]))
    got = read_picture(encode(image, kind))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, np.asarray(image).reshape(48, 64, len(mode)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_samples_of_16_bits_are_kept(suffix: str, channels: int) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    if suffix == ".tif":
        file = io.BytesIO()
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        color = "minisblack" if channels == 1 else "rgb"
        tifffile.imwrite(file, samples.squeeze(), photometric=color, **extra)
        data = file.getvalue()
    elif channels == 1:
        data = encode(samples[..., 0], "PNG")
    else:  # Pillow can't write these
        data = pyvips.Image.new_from_array(samples, interpretation="rgb16").pngsave_buffer()
    got = read_picture(data)
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, samples)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
def test_palette_is_expanded(kind: str) -> None:
    image = Image.fromarray(RGB).convert("P")
    np.testing.assert_array_equal(read_picture(encode(image, kind)), image.convert("RGB"))


def test_palette_with_transparency_becomes_rgba() -> None:
    data = encode(Image.fromarray(RGB).convert("P"), "PNG", transparency=3)
    expected = Image.open(io.BytesIO(data)).convert("RGBA")
    np.testing.assert_array_equal(read_picture(data), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_becomes_0_and_255(kind: str) -> None:
    image = Image.fromarray(RGB).convert("1")
    expected = np.where(np.asarray(image), 255, 0)[..., None]
    np.testing.assert_array_equal(read_picture(encode(image, kind)), expected)


@pytest.mark.parametrize("kind", ["BMP", "PPM"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_bmp_and_ppm_are_read(kind: str, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    expected = np.asarray(image).reshape(48, 64, len(mode))
    np.testing.assert_array_equal(read_picture(encode(image, kind)), expected)


def test_grey_ppm_of_16_bits_is_kept() -> None:
    samples = (np.arange(6).reshape(2, 3) * 13000).astype(">u2")
    got = read_picture(ppm("P5 3 2 65535\n", samples))
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got[..., 0], samples)


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("AVIF", {})])
def test_webp_and_avif_are_read(kind: str, options: dict) -> None:
    got = read_picture(encode(RGB, kind, **options)).astype(int)
    assert np.abs(got - RGB).mean() < 2


@pytest.mark.parametrize("bits", [10, 12])
def test_white_of_avif_with_more_than_8_bits_is_65535(bits: int) -> None:
    white = pyvips.Image.new_from_array(np.full((16, 16, 3), 65535, np.uint16))
    white = white.copy(interpretation="rgb16")
    data = white.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
    assert read_picture(data).min() == 65535


def test_cmyk_jpeg_becomes_rgb_with_white_black_and_its_colours() -> None:
    inks = np.zeros((32, 128, 4), np.uint8)  # white, black, cyan, yellow in fields of 32 pixels
    inks[:, 32:64, 3] = inks[:, 64:96, 0] = inks[:, 96:, 2] = 255
    got = read_picture(encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=100))
    assert got.shape == (32, 128, 3)
    white, black, cyan, yellow = got[16, 16::32].astype(int)
    assert white.min() > 250
    assert black.max() < 60
    assert cyan[2] > cyan[0] + 100
    assert yellow[0] > yellow[2] + 100


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_tiff_of_ycbcr_or_lab_is_refused(mode: str, compression: str | None) -> None:
    picture = Image.new("RGB", (16, 16), (200, 100, 50))
    if mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode=mode
        )
    file = encode(picture.convert(mode), "TIFF", compression=compression)
    with pytest.raises(ValueError, match="must be RGB, not Lab or YCbCr: save it as an RGB TIFF"):
        read_picture(file)


def test_tiff_of_ycbcr_in_jpeg_is_read_as_rgb() -> None:
    flat = pyvips.Image.new_from_array(np.full((16, 16, 3), (200, 100, 50), np.uint8))
    file = flat.tiffsave_buffer(compression="jpeg", Q=85)  # below 90 it is YCbCr
    assert tifffile.TiffFile(io.BytesIO(file)).pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    assert np.abs(read_picture(file).astype(int) - (200, 100, 50)).max() < 5


def test_cmyk_of_16_bits_keeps_16_bits() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 8, 4), np.uint16), photometric="separated")
    got = read_picture(file.getvalue())
    assert got.dtype == np.uint16
    assert got.shape == (8, 8, 3)
    assert got.min() > 64000  # no ink: paper white


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(RGB, kind, **({"tiffinfo": exif} if kind == "TIFF" else {"exif": exif}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    got = read_picture(data)
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= 2  # two JPEG decoders


def test_result_can_be_written_to() -> None:
    for kind in ("PNG", "BMP"):
        assert read_picture(encode(RGB, kind)).flags.writeable


def test_path_and_content_read_the_same_whatever_the_file_is_called(tmp_path: Path) -> None:
    for kind in ("PNG", "BMP"):
        path = tmp_path / f"é [page=1,access=random] %d.{kind}.txt"
        path.write_bytes(encode(RGB, kind))
        np.testing.assert_array_equal(read_picture(path), RGB)


def test_suffixes_are_lower_case_and_dotted() -> None:
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in SUFFIXES)
    assert {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".webp", ".avif", ".heic"} <= SUFFIXES


@pytest.mark.parametrize("share", [0.4, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "AVIF", "BMP", "PPM"])
def test_picture_cut_short_is_an_error(kind: str, share: float) -> None:
    data = encode(NOISE, kind)
    with pytest.raises(ValueError, match=r"^the file is damaged or cut short \(.+\): copy"):
        read_picture(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_error_names_the_file_in_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"half.{kind}"
    path.write_bytes(encode(NOISE, kind)[:4000])
    with pytest.raises(ValueError, match=r"half.* is damaged or cut short") as caught:
        read_picture(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"This is a text.\n" * 20, b"1,2\n3,4\n"])
def test_text_called_png_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"text\.png is not a complete picture: provide"):
        read_picture(path)


def test_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a complete picture"):
        read_picture(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')


def test_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ValueError, match=r"empty\.png is empty: copy or download"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_several_frames_or_pages_are_refused(kind: str) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="has 2 frames or pages: save the one you want"):
        read_picture(data)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32])
def test_other_samples_are_refused(dtype: type) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 8), dtype))
    with pytest.raises(ValueError, match="must have samples of 8 or 16 bits without sign, got"):
        read_picture(file.getvalue())


def test_more_than_four_channels_are_refused() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 8, 5), np.uint8), photometric="rgb", planarconfig="contig")
    with pytest.raises(ValueError, match="must have 1 to 4 channels, got 5: save it as RGB"):
        read_picture(file.getvalue())


@pytest.mark.parametrize("header", ["P6 2 2 65535\n", "P6 2 2 1023\n"])
def test_colour_ppm_of_16_bits_is_refused_rather_than_reduced(header: str) -> None:
    with pytest.raises(ValueError, match="is a 16-bit PPM: save it as a 16-bit PNG"):
        read_picture(ppm(header, np.zeros((2, 2, 3), ">u2")))


def test_heic_is_refused_with_the_remedy_where_nothing_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match="is HEIC: `pip install pillow-heif`, which reads it, or"):
        read_picture(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic....")


@pytest.mark.parametrize("bits", [8, 10])
def test_heic_of_a_phone_is_read_with_what_it_says(bits: int, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    import skimage.data

    photo = skimage.data.astronaut()[:120, :160]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"  # to be turned, as phones say it
    if bits == 8:
        file = pillow_heif.from_pillow(Image.fromarray(photo))
    else:
        deep = photo.astype(np.uint16) * 257
        file = pillow_heif.from_bytes("RGB;16", (160, 120), deep.tobytes())
    file.save(tmp_path / "a.heic", quality=95, exif=exif.tobytes())
    read = read_picture(tmp_path / "a.heic")
    white = 255 if bits == 8 else 65535
    assert read.shape == (160, 120, 3)
    assert read.dtype == (np.uint8 if bits == 8 else np.uint16)
    error = read / white - np.rot90(photo, -1) / 255
    assert np.sqrt(np.mean(error**2)) < 0.02
    opened = open_picture(tmp_path / "a.heic")
    assert b"Maker" in opened.get("exif-data")
    with pytest.raises(ValueError, match="is damaged or cut short"):
        read_picture((tmp_path / "a.heic").read_bytes()[:2000])


def test_more_pixels_than_a_file_can_hold_are_refused_before_there_is_room_for_them() -> None:
    png = bytearray(encode(RGB, "PNG"))
    png[16:24] = (30_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    gif = bytearray(encode(Image.fromarray(RGB).convert("P"), "GIF"))
    place = gif.index(b",\0\0\0\0") + 5  # the size of the frame
    gif[6:10] = gif[place : place + 4] = (30_000).to_bytes(2, "little") * 2
    for content in (bytes(png), bytes(gif)):
        with pytest.raises(ValueError, match=rf"30000 x 30000 .* than its {len(content)} bytes"):
            read_picture(content)


@pytest.mark.parametrize(("kind", "side"), [("PNG", 16_000), ("GIF", 12_000)])
def test_densest_files_are_read(kind: str, side: int) -> None:
    """Nothing but black, in one bit a pixel."""
    content = encode(Image.new("1", (side, side)), kind, optimize=True)
    assert side**2 / len(content) > 1000
    assert not read_picture(content).any()


@pytest.mark.parametrize(
    "options",
    [{}, {"quality": 98}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_rows": 1}],
)
def test_damage_within_a_jpeg_is_found_and_oddities_are_none(options: dict, tmp_path: Path) -> None:
    import skimage.data

    photo, path = skimage.data.astronaut(), tmp_path / "a.jpg"
    content = encode(photo, "JPEG", **{"quality": 90, **options})
    middle, table, end = len(content) // 2, content.index(b"\xff\xdb"), len(content) - 2
    intact = {
        "as it was": content,
        "bytes after the end": content + b"maker notes" + bytes(99),
        "another picture after the end": content + content,
        "bytes before the end": content[:end] + bytes(9) + content[end:],
        "bytes before a table": content[:table] + b"\0\1\2" + content[table:],
        "long marker": content[:table] + b"\xff\xff" + content[table:],
        "bytes before a restart": re.sub(rb"(?=\xff[\xd0-\xd7])", b"\0\0\0", content),
        "restarts before the end": content[:end] + b"\xff\xd0" + bytes(99) + content[end:],
    }
    for what, one in intact.items():
        path.write_bytes(one)
        assert jpeg_damage(path) is None, what
    path.write_bytes(content[:middle] + bytes(1024) + content[middle + 1024 :])
    assert read_picture(path).shape == photo.shape
    assert jpeg_damage(path) is not None
    path.write_bytes(encode(NOISE, "PNG"))
    assert jpeg_damage(path) is None


@pytest.mark.parametrize("kind", ["BMP", "PPM"])
def test_large_bmp_and_ppm_are_read_without_a_warning_or_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(RGB, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RGB[..., 0].size // 2 + 1)  # of 89 million
    np.testing.assert_array_equal(read_picture(content), RGB)
    monkeypatch.setattr("espcn.io.reading.MAX_WHOLE", RGB[..., 0].size - 1)
    with pytest.raises(ValueError, match="is too large to be read: save it as PNG"):
        read_picture(content)
