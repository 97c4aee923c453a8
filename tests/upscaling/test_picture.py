"""Picture files: format, depth, channels and what is said of them are kept, at every size."""

import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from espcn.io.reading import Rows, open_picture, read_picture
from espcn.io.signatures import is_animation
from espcn.io.writing import check_size
from espcn.upscaling.picture import upscale_picture
from espcn.upscaling.size import LargeEnough, Size
from espcn.upscaling.upscaler import Upscaler

HEIGHT, WIDTH = 40, 62
ENDINGS = ["png", "jpg", "tif", "webp", "avif", "bmp"]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu", compression="none")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[20 : 20 + HEIGHT, 180 : 180 + WIDTH])


def upscaled(upscaler: Upscaler, source: Path, ending: str | None = None) -> Path:
    target = source.with_name(f"large{ending or source.suffix}")
    upscale_picture(upscaler, source, target)
    assert not list(source.parent.glob(".*"))
    return target


def error(file: Path, wanted: np.ndarray) -> float:
    """Return the mean absolute difference in grey levels of 8 bits."""
    white = 257 if wanted.dtype == np.uint16 else 1
    return float(np.abs(read_picture(file).astype(float) - wanted).mean() / white)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_formats_and_channels_are_kept(
    ending: str, mode: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    if (ending, mode) == ("jpg", "RGBA"):
        pytest.skip("JPEG has no alpha")
    source = tmp_path / f"small.{ending}"
    picture = Image.fromarray(photo).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(photo[..., 0]))
    picture.save(source, **({"quality": 95} if ending in ("jpg", "webp", "avif") else {}))
    small = read_picture(source)
    target = upscaled(upscaler, source)
    large = read_picture(target)
    assert large.dtype == np.uint8
    assert large.shape == (3 * HEIGHT, 3 * WIDTH, small.shape[2])
    lossless = ending in ("png", "tif", "bmp")
    assert error(target, upscaler(small)) <= (0 if lossless else 3)
    with Image.open(target) as made, Image.open(source) as given:
        assert made.format == given.format


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_kept(
    ending: str, channels: int, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    planes = [photo[..., 0], photo[..., 1], photo[..., 2], photo[..., 0]][:channels]
    deep = np.dstack(planes).astype(np.uint16) * 257 + np.arange(WIDTH, dtype=np.uint16)[:, None]
    kind = "grey16" if channels < 3 else "rgb16"
    pyvips.Image.new_from_array(deep).copy(interpretation=kind).write_to_file(
        str(tmp_path / f"small.{ending}")
    )
    target = upscaled(upscaler, tmp_path / f"small.{ending}")
    assert read_picture(target).dtype == np.uint16
    assert np.array_equal(read_picture(target), upscaler(deep))


def test_deep_avif_keeps_its_bits(upscaler: Upscaler, photo: np.ndarray, tmp_path: Path) -> None:
    deep = pyvips.Image.new_from_array(photo.astype(np.uint16) * 257).copy(interpretation="rgb16")
    deep.heifsave(str(tmp_path / "small.avif"), compression="av1", bitdepth=10, Q=95)
    target = upscaled(upscaler, tmp_path / "small.avif")
    assert pyvips.Image.new_from_file(str(target)).get("bits-per-sample") == 10
    assert error(target, upscaler(read_picture(tmp_path / "small.avif"))) < 3


@pytest.mark.parametrize("mode", ["P", "1", "CMYK"])
def test_other_modes_become_what_is_seen(
    mode: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / ("small.tif" if mode == "CMYK" else "small.png")
    Image.fromarray(photo).convert(mode).save(source)
    target = upscaled(upscaler, source)
    assert np.array_equal(read_picture(target), upscaler(read_picture(source)))
    with Image.open(target) as made:
        assert made.mode == ("L" if mode == "1" else "RGB")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif"])
def test_what_is_said_of_a_picture_is_kept_and_it_is_turned_once(
    ending: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6  # to be turned by a quarter
    options: dict[str, Any] = {"dpi": (300, 300)} if ending in ("jpg", "png") else {}
    source = tmp_path / f"small.{ending}"
    Image.fromarray(photo).save(source, exif=exif, icc_profile=profile, **options)
    with Image.open(upscaled(upscaler, source)) as made:
        assert made.size == (3 * HEIGHT, 3 * WIDTH)  # standing: HEIGHT is its width
        assert made.getexif()[0x010F] == "A maker"
        assert made.getexif().get(0x0112, 1) == 1
        assert made.info["icc_profile"] == profile
        if options:
            assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert error(tmp_path / f"large.{ending}", upscaler(read_picture(source))) < 3


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", [Size(scale=1.7), Size(width=403), Size(height=300)])
def test_sizes_are_met_in_every_format(
    ending: str, size: Size, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / f"small.{ending}", tmp_path / f"large.{ending}"
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    Image.fromarray(photo).save(source, exif=exif)
    seen: list[tuple[int, int]] = []
    upscale_picture(upscaler, source, target, progress=lambda *told: seen.append(told), size=size)
    width, height = size.of(WIDTH, HEIGHT)
    assert seen[-1] == (height, height)
    large = read_picture(source)
    for r in {105: (2,), 403: (4, 2), 465: (4, 2)}[width]:
        large = upscaler.by(r)(large)
    wanted = Image.fromarray(large).resize((width, height), Image.Resampling.LANCZOS)
    assert error(target, np.asarray(wanted)) < (0.5 if ending in ("png", "tif", "bmp") else 3)
    with Image.open(target) as made:
        assert made.size == (width, height)
        if ending in ("png", "jpg", "webp", "avif"):
            assert made.getexif()[0x010F] == "A maker"


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_depth_and_channels_are_kept_at_any_size(
    channels: int, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / "small.png", tmp_path / "large.png"
    deep = np.dstack([photo, photo])[..., -channels:].astype(np.uint16) * 257
    kind = "grey16" if channels < 3 else "rgb16"
    pyvips.Image.new_from_array(deep).copy(interpretation=kind).pngsave(str(source))
    upscale_picture(upscaler, source, target, size=Size(scale=2.5))
    made, large = read_picture(target), upscaler(deep)
    assert made.dtype == np.uint16
    for band in range(channels):
        plane = Image.fromarray(large[..., band].astype(np.float32))
        wanted = np.asarray(plane.resize((155, 100), Image.Resampling.LANCZOS))
        difference = made[..., band] - wanted.clip(0, 65535)
        assert np.sqrt(np.mean(difference**2)) < 40  # libvips rounds places to 1/64 pixel


def test_cut_out_keeps_clean_edges_at_any_size(upscaler: Upscaler, tmp_path: Path) -> None:
    y, x = np.mgrid[:71, :83]
    disc = np.where(((y - 35) ** 2 + (x - 41) ** 2 < 900)[..., None], 255, 0).astype(np.uint8)
    Image.fromarray(disc.repeat(4, 2)).save(tmp_path / "disc.png")
    for scale in (1.5, 5.5):
        upscale_picture(upscaler, tmp_path / "disc.png", tmp_path / "a.png", size=Size(scale=scale))
        made = read_picture(tmp_path / "a.png").astype(float)
        alpha = made[..., 3:] / 255
        assert (made[..., :3] * alpha + 255 * (1 - alpha)).min() > 253  # over white


def test_size_that_the_source_has_is_no_work(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    with pytest.raises(LargeEnough, match=r"it is already 60 x 40 pixels, .* \(to a width of 60\)"):
        upscale_picture(upscaler, tmp_path / "a.png", tmp_path / "b.png", size=Size(width=60))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("ending", ["tif", "bmp"])
def test_resolution_is_kept(
    ending: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / f"small.{ending}", dpi=(300, 300))
    with Image.open(upscaled(upscaler, tmp_path / f"small.{ending}")) as made:
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("ending", [*ENDINGS, "ppm"])
def test_unknown_resolution_stays_unknown(
    ending: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / f"small.{ending}"
    Image.fromarray(photo).save(source, **({"dpi": (0, 0)} if ending == "bmp" else {}))
    for target in (upscaled(upscaler, source, f".{one}") for one in ENDINGS):
        with Image.open(target) as made:
            assert made.info.get("dpi", (0, 0)) == (0, 0)
            if target.suffix != ".tif":
                assert not made.getexif()
            else:  # which must have numbers, but can have no unit
                assert made.getexif()[0x0128] == 1
            assert np.asarray(made).shape == (3 * HEIGHT, 3 * WIDTH, 3)
        assert not open_picture(target).get_typeof("resolution-unit")


def test_unknown_resolution_is_72_in_exif(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    Image.fromarray(photo).save(tmp_path / "small.webp", exif=exif)
    with Image.open(upscaled(upscaler, tmp_path / "small.webp", ".avif")) as made:
        assert (made.getexif()[0x010F], made.getexif()[0x011A]) == ("A maker", 72)


def test_unit_of_resolution_is_taken_from_a_large_tiff(tmp_path: Path) -> None:
    from espcn.io.writing import _forget_resolution

    pyvips.Image.black(9, 9).tiffsave(str(tmp_path / "a.tif"), bigtiff=True)
    _forget_resolution(tmp_path / "a.tif", "tiff")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].tags["ResolutionUnit"].value == tifffile.RESUNIT.NONE


def test_format_is_that_of_the_target(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "small.webp", lossless=True)
    for ending in ENDINGS:
        target = upscaled(upscaler, tmp_path / "small.webp", f".{ending}")
        with Image.open(target) as made:
            assert made.size == (3 * WIDTH, 3 * HEIGHT)
    upscale_picture(upscaler, tmp_path / "small.webp", tmp_path / "coarse.jpg", quality=30)
    assert (tmp_path / "coarse.jpg").stat().st_size < (tmp_path / "large.jpg").stat().st_size / 2


def test_rows_are_those_of_the_picture(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "small.png")
    rows = Rows(open_picture(tmp_path / "small.png"), tmp_path / "small.png")
    for top, bottom in ((0, 9), (5, 14), (5, 30), (30, 31), (30, HEIGHT)):
        assert np.array_equal(rows(top, bottom), photo[top:bottom])


def test_progress_is_told_and_can_stop_the_work(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espcn.upscaling.tiles.BAND", 6 * WIDTH)
    source, target = tmp_path / "small.png", tmp_path / "large.png"
    Image.fromarray(photo).save(source)
    seen: list[tuple[int, int]] = []
    upscale_picture(upscaler, source, target, progress=lambda *told: seen.append(told))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (3 * HEIGHT, 3 * HEIGHT)
    assert len(seen) >= 6
    assert np.array_equal(read_picture(target), upscaler(photo))
    target.unlink()

    def stop(done: int, total: int) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        upscale_picture(upscaler, source, target, progress=stop)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("ending", ENDINGS)
def test_cut_off_file_is_refused(
    ending: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / f"small.{ending}"
    Image.fromarray(photo).save(source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    with pytest.raises(ValueError, match=r"small\.\w+ is (damaged|not a complete)"):
        upscaled(upscaler, source)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("turned", [False, True])
def test_damaged_jpeg_is_upscaled_and_named(
    turned: bool, upscaler: Upscaler, tmp_path: Path
) -> None:
    import skimage.data

    source, target, exif = tmp_path / "small.jpg", tmp_path / "large.png", Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.fromarray(skimage.data.astronaut()[:200]).save(source, quality=95, exif=exif)
    assert upscale_picture(upscaler, source, target).damaged == []
    content = source.read_bytes()
    source.write_bytes(content[:5000] + bytes(1024) + content[6024:])
    assert upscale_picture(upscaler, source, target).damaged == [
        f"{source} is damaged (premature end of JPEG image): copy or download it again"
    ]
    assert read_picture(target).shape[:2] == ((1536, 600) if turned else (600, 1536))


def test_size_that_a_format_cannot_hold_is_refused_before_the_work(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    for ending, width, limit in (
        ("jpg", 21_900, 65_500),
        ("webp", 5_462, 16_383),
        ("avif", 5_462, 16_384),
    ):
        source = tmp_path / "wide.png"
        Image.new("L", (width, 2)).save(source)
        with pytest.raises(ValueError, match=rf"holds at most {limit} a side: write it as PNG"):
            upscale_picture(upscaler, source, tmp_path / f"large.{ending}")
    with pytest.raises(ValueError, match="too large for BMP here: write it as PNG"):
        check_size(tmp_path / "a.bmp", 30_000, 30_000, 3)
    check_size(tmp_path / "a.png", 300_000, 300_000, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["wide.png"]


def test_bomb_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    # A header alone: 100,000 x 100,000 pixels in 60 bytes.
    from espcn.io.writing import _chunk

    header = (100_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"x\x9c")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ValueError, match="says that it is 100000 x 100000 pixels, over 1000 mega"):
        upscaled(upscaler, tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("kind", "begin"),
    [(b"zTXt", b"Comment\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0"), (b"iCCP", b"icc\0\0")],
)
def test_text_that_unpacks_to_much_takes_no_memory(
    kind: bytes, begin: bytes, tmp_path: Path
) -> None:
    # 200 MB of zeros in a chunk of 0.2 MB, beside a picture of one pixel.
    from espcn.io.writing import _chunk

    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]))
    content += _chunk(kind, begin + zlib.compress(bytes(2 * 10**8), 9))
    content += _chunk(b"IDAT", zlib.compress(b"\0\7")) + _chunk(b"IEND", b"")
    (tmp_path / "text.png").write_bytes(content)
    script = (
        "import resource, sys; from pathlib import Path; from espcn.io.reading import read_picture;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "assert read_picture(Path(sys.argv[1])).tolist() == [[[7]]];"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "text.png")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 100_000  # kB


def test_turned_bomb_is_refused_before_it_is_turned(upscaler: Upscaler, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 16)).save(tmp_path / "bomb.jpg", exif=exif)
    content = bytearray((tmp_path / "bomb.jpg").read_bytes())
    size = content.index(b"\xff\xc0") + 5  # of the frame's header: height, width
    content[size : size + 4] = (40_000).to_bytes(2, "big") * 2
    (tmp_path / "bomb.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="says that it is 40000 x 40000 pixels"):
        upscaled(upscaler, tmp_path / "bomb.jpg")


def test_animated_png_is_refused(upscaler: Upscaler, photo: np.ndarray, tmp_path: Path) -> None:
    first, second = Image.fromarray(photo), Image.fromarray(photo[::-1])
    first.save(tmp_path / "moves.png", save_all=True, append_images=[second])
    with pytest.raises(ValueError, match="has many frames: save the one you want as PNG"):
        upscaled(upscaler, tmp_path / "moves.png")


def test_16_bits_become_8_where_a_format_has_no_more(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    deep = pyvips.Image.new_from_array(photo.astype(np.uint16) * 257).copy(interpretation="rgb16")
    deep.pngsave(str(tmp_path / "small.png"))
    for ending in (".bmp", ".jpg", ".webp"):
        assert error(upscaled(upscaler, tmp_path / "small.png", ending), upscaler(photo)) < 3


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("ending", [".jpg", ".bmp"])
def test_transparent_becomes_white_where_a_format_has_no_alpha(
    ending: str, channels: int, depth: int, upscaler: Upscaler, tmp_path: Path
) -> None:
    highest = 2**depth - 1
    pixels = np.zeros((20, 20, channels), np.uint16 if depth == 16 else np.uint8)
    pixels[:, 10:, -1] = highest // 2  # half transparent black on white: grey
    kind = {2: "grey16" if depth == 16 else "b-w", 4: "rgb16" if depth == 16 else "srgb"}
    picture = pyvips.Image.new_from_array(pixels).copy(interpretation=kind[channels])
    picture.pngsave(str(tmp_path / "clear.png"))
    result = read_picture(upscaled(upscaler, tmp_path / "clear.png", ending))
    assert result.shape == (60, 60, channels - 1)
    assert result[:, :25].min() > 250
    assert abs(int(result[:, 40:].min()) - 128) < 4
    assert abs(int(result[:, 40:].max()) - 128) < 4


@pytest.mark.parametrize("depth", [8, 16])
def test_transparency_that_is_lost_is_told(depth: int, upscaler: Upscaler, tmp_path: Path) -> None:
    white = 2**depth - 1
    pixels = np.full((9, 9, 4), white, np.uint16 if depth == 16 else np.uint8)
    kind = "rgb16" if depth == 16 else "srgb"

    def left_out(name: str) -> list[str]:
        picture = pyvips.Image.new_from_array(pixels).copy(interpretation=kind)
        picture.pngsave(str(tmp_path / "a.png"))
        return upscale_picture(upscaler, tmp_path / "a.png", tmp_path / name).left_out

    for name in ("b.jpg", "b.bmp"):
        assert left_out(name) == []  # there was an alpha channel, but no transparency
    pixels[8, 8, 3] = white // 2
    for name, kind_of in (("b.jpg", "JPEG"), ("b.bmp", "BMP")):
        (said,) = left_out(name)
        assert said == f"its transparency, which {kind_of} can't hold: it is now on white"
    for name in ("b.png", "b.webp", "b.tif"):
        assert left_out(name) == []


@pytest.mark.parametrize(("transfer", "is_hdr"), [(13, False), (16, True), (18, True)])
@pytest.mark.parametrize("kind", ["avif", "png"])
def test_hdr_that_is_lost_is_told(
    kind: str, transfer: int, is_hdr: bool, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    from espcn.io.writing import _chunk

    source = tmp_path / f"a.{kind}"
    Image.fromarray(photo).save(source)
    content = source.read_bytes()
    if kind == "png":  # primaries, transfer, matrix, range
        content = content[:33] + _chunk(b"cICP", bytes([9, transfer, 0, 1])) + content[33:]
    else:
        place = content.index(b"nclx") + 7
        content = content[:place] + bytes([transfer]) + content[place + 1 :]
    source.write_bytes(content)
    said = ["its HDR colours (PQ or HLG), which now look pale"] if is_hdr else []
    assert upscale_picture(upscaler, source, tmp_path / "b.png").left_out == said


def test_gain_map_that_is_lost_is_told(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    picture = pyvips.Image.new_from_array(photo).copy(interpretation="srgb")
    picture.colourspace("scrgb").uhdrsave(str(tmp_path / "a.jpg"))
    remarks = upscale_picture(upscaler, tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert remarks.left_out == ["its gain map, which makes it HDR"]
    assert read_picture(tmp_path / "b.jpg").shape == (3 * HEIGHT, 3 * WIDTH, 3)


def test_name_that_is_not_utf_8(upscaler: Upscaler, photo: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(photo).save(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(source)
    target = tmp_path / os.fsdecode(b"caf\xe9_x3.png")
    upscale_picture(upscaler, source, target)
    assert read_picture(target).shape == (3 * HEIGHT, 3 * WIDTH, 3)


def test_very_wide_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.effect_noise((130_000, 9), 50).save(tmp_path / "wide.png")
    assert read_picture(upscaled(upscaler, tmp_path / "wide.png")).shape == (27, 390_000, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "height"), [(3, 3000), (5.9, 1700)])
def test_large_picture_needs_little_memory(scale: float, height: int, tmp_path: Path) -> None:
    # 3 or 1.7 megapixels become 81, 178 MB. benchmarks/memory.py measures 100 megapixels.
    width = 1000
    first, source, target = (tmp_path / f"{name}.png" for name in ("first", "small", "large"))
    for path, size in ((first, (600, 600)), (source, (width, height))):
        picture = pyvips.Image.xyz(*size).bandjoin(7).cast("uchar")
        picture.pngsave(str(path), compression=1)
    script = (
        "import resource, sys; from pathlib import Path;"
        "from espcn.upscaling.picture import upscale_picture;"
        "from espcn import Upscaler; from espcn.upscaling import tiles; tiles.BAND = 50_000;"
        "import torch; torch.set_num_threads(1);"
        "from espcn.upscaling.size import Size;"
        "first, source, target = map(Path, sys.argv[1:4]); scale = float(sys.argv[4]);"
        "upscaler, size = Upscaler(3), None if scale == 3 else Size(scale=scale);"
        # First what any picture needs, whatever its size: networks that are built, libraries.
        "upscale_picture(upscaler, first, target, size=size);"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "upscale_picture(upscaler, source, target, size=size);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, (first, source, target)), str(scale)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    written = 3 * scale**2 * width * height / 1000  # kB
    assert int(done.stdout) < 0.6 * written
    made = pyvips.Image.new_from_file(str(target))
    assert (made.width, made.height, made.bands) == (scale * width, scale * height, 3)


def test_unknown_suffix_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"b.gif must end in one of .png .jpg .*: name it with -o"):
        upscale_picture(upscaler, tmp_path / "a.png", tmp_path / "b.gif")


@pytest.mark.parametrize("mode", ["L", "RGB", "LA"])
def test_single_pixel_is_upscaled(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (1, 1), 77 if mode == "L" else None).save(tmp_path / "a.png")
    upscale_picture(Upscaler(2), tmp_path / "a.png", tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png").shape == (2, 2, len(mode))


def test_still_pictures_are_no_animations(tmp_path: Path) -> None:
    for name in ("a.gif", "a.png", "a.webp", "a.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
        assert not is_animation(tmp_path / name)
    (tmp_path / "b.gif").write_bytes(b"GIF89a and no more")
    assert not is_animation(tmp_path / "b.gif")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "avif", "bmp"])
def test_file_is_closed_before_it_gets_its_name(
    kind: str, upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Windows renames and removes nothing that is open; it has no locks, which hold one descriptor.
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    rename, still_open = os.replace, []

    def replace(part: Any, path: Any) -> None:
        links = [Path(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
        still_open.extend(str(one.readlink()) for one in links if one.is_symlink())
        rename(part, path)

    monkeypatch.setattr("espcn.io.atomic.os.replace", replace)
    upscale_picture(upscaler, tmp_path / "a.png", tmp_path / f"b.{kind}")
    assert (tmp_path / f"b.{kind}").is_file()
    assert sum(f"b.{kind}" in name for name in still_open) == 1
