"""Animations: frames, their times and what is said of them are kept."""

from pathlib import Path

import av
import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms, ImageSequence

from espcn.io.signatures import is_animation
from espcn.network.strengths import NONE, Compression
from espcn.upscaling.animation import upscale_animation
from espcn.upscaling.size import Size
from espcn.upscaling.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu", compression="none")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[20:60, 180:242])


def write_animation(path: Path, transparent: bool = False) -> list[Image.Image]:
    import skimage.data

    photo = skimage.data.astronaut()
    frames = [Image.fromarray(photo[40:80, 180 + 4 * k : 240 + 4 * k]) for k in range(5)]
    if transparent:
        for frame in frames:
            frame.putalpha(Image.fromarray(np.tri(40, 60, dtype=np.uint8) * 255))
    options = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=[100, 200, 100, 50, 80], loop=3,
        disposal=2, **options,
    )  # fmt: skip
    return frames


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animations_keep_their_frames_and_times(
    kind: str, transparent: bool, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    frames = write_animation(source, transparent)
    assert is_animation(source)
    done: list[int] = []
    upscale_animation(upscaler, source, target, progress=lambda number, total: done.append(number))
    assert done == [1, 2, 3, 4, 5]
    with Image.open(target) as made:
        assert made.info["loop"] == 3
        durations = []
        for frame, original in zip(ImageSequence.Iterator(made), frames, strict=True):
            large = np.asarray(frame.convert("RGBA"))
            durations.append(frame.info["duration"])
            wanted = upscaler(np.asarray(original.convert("RGBA")))
            seen = np.asarray(wanted[..., 3:] > 250)
            error = (large[..., :3].astype(float) - wanted[..., :3]) * seen
            assert np.sqrt(np.mean(error**2)) < 14  # a palette has 256 colours
            assert np.mean((large[..., 3] > 127) == (wanted[..., 3] > 127)) > 0.98
        assert durations == [100, 200, 100, 50, 80]


def upscaled_frames(path: Path, upscaler: Upscaler) -> list[np.ndarray]:
    """Return what the frames of an animation should become, RGBA."""
    with Image.open(path) as given:
        return [
            upscaler(np.asarray(frame.convert("RGBA"))) for frame in ImageSequence.Iterator(given)
        ]


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as made:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(made)]


def test_gif_keeps_the_colours_of_photographs(upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = tmp_path / "a.gif", tmp_path / "b.gif"
    write_animation(source)
    upscale_animation(upscaler, source, target)
    for made, wanted in zip(frames_of(target), upscaled_frames(source, upscaler), strict=True):
        error = made[..., :3].astype(float) - wanted[..., :3]
        assert np.sqrt(np.mean(error**2)) < 2  # by Pillow 4.2


def test_cut_outs_of_a_gif_do_not_grow(upscaler: Upscaler, tmp_path: Path) -> None:
    """Frames of any kind may follow each other, and black is not taken for nothing."""
    y, x = np.mgrid[:40, :60]
    disc = np.full((40, 60, 4), (200, 120, 40, 255), np.uint8)
    disc[(y - 20) ** 2 + (x - 30) ** 2 > 200] = 0
    black = np.zeros((40, 60, 4), np.uint8)
    black[..., 3], black[9:20, 9:20, 0] = 255, 255
    for order in ((disc, black, disc), (black, disc, black), (black, black, disc)):
        source, target = tmp_path / "a.gif", tmp_path / "b.gif"
        column = pyvips.Image.new_from_array(np.concatenate(order)).copy(interpretation="srgb")
        column.set_type(pyvips.GValue.gint_type, "page-height", 40)
        column.gifsave(str(source), keep_duplicate_frames=True)  # Pillow takes black for nothing
        upscale_animation(upscaler, source, target)
        for made, wanted in zip(frames_of(target), map(upscaler, order), strict=True):
            seen = wanted[..., 3] >= 128
            assert np.array_equal(made[..., 3] > 0, seen)
            assert np.abs(made[..., :3].astype(int) - wanted[..., :3])[seen].max() < 8


@pytest.mark.parametrize("loop", [None, 0, 1, 5])
@pytest.mark.parametrize("kind", ["gif", "png"])
def test_animations_are_repeated_as_often(
    kind: str, loop: int | None, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    frames = [Image.fromarray(photo), Image.fromarray(photo[::-1])]
    options = {} if loop is None else {"loop": loop}
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=50, **options)
    upscale_animation(upscaler, source, target)
    with Image.open(source) as given, Image.open(target) as made:
        assert made.info.get("loop") == given.info.get("loop")


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_animations_keep_profile_exif_and_resolution(
    kind: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a moving photograph"  # its description
    frames = [Image.fromarray(photo), Image.fromarray(photo[::-1])]
    frames[0].save(
        source, save_all=True, append_images=frames[1:], icc_profile=profile, exif=exif,
        dpi=(300, 300),
    )  # fmt: skip
    upscale_animation(upscaler, source, target)
    with Image.open(source) as given, Image.open(target) as made:
        assert made.info["icc_profile"] == profile
        assert made.info["exif"] == given.info["exif"]
        assert made.info.get("dpi") == given.info.get("dpi")
        assert ("dpi" in made.info) == (kind == "png")
        assert made.getexif()[0x010E] == "a moving photograph"


def test_profile_of_greys_is_not_given_to_frames_of_colours(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    frames = [Image.fromarray(one).convert("L") for one in (photo, photo[::-1])]
    profile = bytes(16) + b"GRAY" + bytes(108)
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    frames[0].save(source, save_all=True, append_images=frames[1:], icc_profile=profile)
    upscale_animation(upscaler, source, target)
    with Image.open(source) as given, Image.open(target) as made:
        assert given.info["icc_profile"] == profile
        assert made.mode == "RGBA"
        assert "icc_profile" not in made.info


def test_picture_that_stands_apart_from_an_animation_is_not_played(
    upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    still, *moving = (Image.fromarray(np.roll(photo, 9 * count, 0)) for count in range(4))
    still.save(
        tmp_path / "a.png", save_all=True, append_images=moving, default_image=True,
        duration=[100, 200, 300],
    )  # fmt: skip
    upscale_animation(upscaler, tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as made:
        assert made.default_image  # type: ignore[attr-defined]
        assert np.array_equal(np.asarray(made)[..., :3], upscaler(photo))
        played = [frame.info.get("duration") for frame in ImageSequence.Iterator(made)]
        assert played == [None, 100, 200, 300]


def test_animation_is_upscaled_for_a_compression_that_is_given(tmp_path: Path) -> None:
    source, clean = tmp_path / "a.png", Upscaler(2, precision="float32")
    frame = np.asarray(write_animation(source)[0].convert("RGBA"))
    strong = Compression("jpeg", 30)
    for given, taken in ((None, NONE), ("none", NONE), (30, strong)):
        upscaler = Upscaler(2, precision="float32", compression=given)
        remarks = upscale_animation(upscaler, source, tmp_path / "b.png")
        assert remarks.compression.endswith(str(clean.suited_to(taken).strength))
        with Image.open(tmp_path / "b.png") as made:
            large = np.asarray(made.convert("RGBA"))
        assert np.array_equal(large, clean.suited_to(taken)(frame))


def test_animation_gets_any_size(upscaler: Upscaler, tmp_path: Path) -> None:
    write_animation(tmp_path / "a.gif")
    upscale_animation(upscaler, tmp_path / "a.gif", tmp_path / "b.gif", size=Size(width=330))
    with Image.open(tmp_path / "b.gif") as made:
        assert made.size == (330, 220)
        assert getattr(made, "n_frames", 1) == 5


@pytest.mark.parametrize("after", [5, 9, 100])
def test_animation_that_is_cut_short_within_a_frame_is_named(
    after: int, upscaler: Upscaler, tmp_path: Path
) -> None:
    source = tmp_path / "a.gif"
    write_animation(source)
    content = source.read_bytes()
    source.write_bytes(content[: content.rindex(b"\x2c\0\0\0\0") + after])
    assert is_animation(source)
    with pytest.raises(ValueError, match=r"a.gif is damaged or cut short \(.*\): copy"):
        upscale_animation(upscaler, source, tmp_path / "b.gif")
    assert not (tmp_path / "b.gif").exists()


def test_animation_becomes_nothing_else(upscaler: Upscaler, tmp_path: Path) -> None:
    write_animation(tmp_path / "a.gif")
    with pytest.raises(
        ValueError, match=r"b.png must end in .gif, as .*a.gif is an animated GIF: name it with -o"
    ):
        upscale_animation(upscaler, tmp_path / "a.gif", tmp_path / "b.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "still.jpg")
    with pytest.raises(ValueError, match="still.jpg must be an animated GIF, WebP or PNG"):
        upscale_animation(upscaler, tmp_path / "still.jpg", tmp_path / "b.png")
    content = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cut.gif is damaged or cut short"):
        upscale_animation(upscaler, tmp_path / "cut.gif", tmp_path / "cut_x2.gif")
    assert not (tmp_path / "cut_x2.gif").exists()


def test_times_of_an_animated_png_need_not_be_whole(upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    frames = write_animation(source)
    times = [1001 / 30, 1000 / 60, 1000 / 24, 40, 0]  # of films and of television
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=times)
    upscale_animation(upscaler, source, target)
    with Image.open(target) as made:
        kept = [frame.info["duration"] for frame in ImageSequence.Iterator(made)]
    assert kept == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("layout", ["gray16be", "rgb48be", "ya16be"])
def test_animated_png_of_16_bits_becomes_one_of_8(
    layout: str, upscaler: Upscaler, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    deep = photo.astype(np.uint16) * 257
    with av.open(source, "w", format="apng") as file:
        stream = file.add_stream("apng", 10, width=62, height=40, pix_fmt=layout)
        for pixels in (deep, deep[::-1]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb48le")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    remarks = upscale_animation(upscaler, source, target)
    assert remarks.left_out == ["its 16 bits: an animated PNG is written with 8"]
    grey = np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))
    wanted = upscaler(photo if layout == "rgb48be" else grey)
    for made, one in zip(frames_of(target), (wanted, wanted[::-1]), strict=True):
        assert np.abs(made[..., :3].astype(int) - one).mean() < 2
    write_animation(source)
    assert upscale_animation(upscaler, source, target).left_out == []


@pytest.mark.parametrize(("kind", "side"), [("gif", 21_846), ("webp", 5_462)])
def test_animation_that_its_format_cannot_hold_is_refused_before_the_work(
    kind: str, side: int, upscaler: Upscaler, tmp_path: Path
) -> None:
    source, target = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    frames = [Image.new("RGB", (side, 2), color) for color in ("red", "tan")]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=rf"{kind.upper()} holds at most \d+ a side: choose a sm"):
        upscale_animation(upscaler, source, target)


def test_animation_that_memory_cannot_hold_is_refused(
    upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_animation(tmp_path / "a.gif")
    monkeypatch.setattr("espcn.upscaling.animation.MAX_ANIMATION", 5 * 120 * 180 - 1)
    with pytest.raises(ValueError, match="would have 5 frames, .*: convert it to a video first"):
        upscale_animation(upscaler, tmp_path / "a.gif", tmp_path / "b.gif")
