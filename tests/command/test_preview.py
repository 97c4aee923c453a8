"""Previews: the detail is the busiest, and what is shown of it is what would be made."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

from espcn.command.preview import GAP, SIDE, TEXT, most_detailed, save_preview
from espcn.io.reading import read_picture
from espcn.upscaling.size import LargeEnough, Size
from espcn.upscaling.upscaler import Upscaler
from helpers import Call, check_failed, write_clip

TOP = TEXT + 2 * GAP


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu")


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """Return a smooth picture of 900 x 700 with a photograph of 160 x 160 at (560, 400) in it."""
    import skimage.data

    y, x = np.mgrid[:700, :900]
    picture = np.stack([x / 5, y / 5, (x + y) / 10], 2).astype(np.uint8)
    picture[400:560, 560:720] = skimage.data.astronaut()[100:260, 160:320]
    Image.fromarray(picture).save(tmp_path / "busy.png")
    return tmp_path / "busy.png"


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = read_picture(path)[TOP:-GAP]
    width = (pixels.shape[1] - 3 * GAP) // 2
    return pixels[:, GAP : GAP + width], pixels[:, 2 * GAP + width : -GAP]


@pytest.mark.parametrize(("space", "is_kept"), [(b"RGB ", True), (b"GRAY", False)])
def test_profile_of_a_grey_picture_is_not_given_to_a_preview_in_rgb(
    upscaler: Upscaler, tmp_path: Path, space: bytes, is_kept: bool
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:16] + space + profile[20:]
    kind = "RGB" if is_kept else "L"
    Image.new(kind, (40, 40)).save(tmp_path / "a.png", icc_profile=profile)
    save_preview(upscaler, tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as made:
        assert ("icc_profile" in made.info) == is_kept


def test_busiest_part_is_found(busy: Path) -> None:
    left, top = most_detailed(pyvips.Image.new_from_file(str(busy)), 160, 160)
    assert abs(left - 560) <= 20
    assert abs(top - 400) <= 20
    assert most_detailed(pyvips.Image.new_from_file(str(busy)), 900, 700) == (0, 0)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 4), dtype=np.uint8)
    noise[:, :200, 3], noise[:, 200:, :3] = 0, noise[:, 200:, :3] // 4  # the louder is hidden
    left, _ = most_detailed(pyvips.Image.new_from_array(noise), 80, 80)
    assert left >= 200 - 10


def test_it_shows_what_would_be_made_beside_bicubic(
    busy: Path, upscaler: Upscaler, tmp_path: Path
) -> None:
    target = tmp_path / "preview.png"
    assert save_preview(upscaler, busy, target) == "no compression, finer weights"
    bicubic, ours = halves(target)
    assert bicubic.shape == ours.shape == (SIDE, SIDE, 3)
    small = read_picture(busy)
    left, top = most_detailed(pyvips.Image.new_from_file(str(busy)), 160, 160)
    rows, columns = slice(3 * top, 3 * top + SIDE), slice(3 * left, 3 * left + SIDE)
    assert np.array_equal(ours, upscaler(small)[rows, columns])
    wanted = Image.fromarray(small).resize((2700, 2100), Image.Resampling.BICUBIC)
    assert np.abs(bicubic.astype(int) - np.asarray(wanted)[rows, columns]).max() <= 1
    assert (read_picture(target)[: TOP - GAP] < 99).any()  # what is what stands above


@pytest.mark.parametrize("kind", ["grey", "deep", "clear", "tiny"])
def test_every_kind_of_picture(kind: str, upscaler: Upscaler, tmp_path: Path) -> None:
    import skimage.data

    photo = skimage.data.astronaut()[:200, :300]
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    if kind == "deep":
        deep = pyvips.Image.new_from_array(photo.astype(np.uint16) * 257)
        deep.copy(interpretation="rgb16").pngsave(str(source))
    else:
        clear = np.dstack([photo, np.zeros((200, 300), np.uint8)])
        Image.fromarray(
            {"grey": photo[..., 1], "clear": clear, "tiny": photo[:1, :2]}[kind]
        ).save(source)  # fmt: skip
    save_preview(upscaler, source, target, size=Size(scale=5))
    bicubic, ours = halves(target)
    difference = np.abs(ours.astype(float) - bicubic).mean()
    if kind == "tiny":
        assert read_picture(target).shape[0] == 5 + TOP + GAP
    elif kind == "clear":
        assert (ours == 255).all()  # on white paper
    else:
        assert ours.shape == (480, 480, 3)
        assert 0 < difference < 12


def test_animation_and_video_are_shown_upright(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.effect_noise((80, 60), 90 + number) for number in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    save_preview(upscaler, tmp_path / "a.gif", tmp_path / "a.png")
    assert halves(tmp_path / "a.png")[1].shape == (180, 240, 3)

    def turned(_: Any, stream: Any) -> None:
        stream.set_display_rotation(90)
        stream.options = {"crf": "30"}

    clip = write_clip(tmp_path / "clip.mp4", count=40, size=(112, 80), prepare=turned)
    found = save_preview(upscaler, clip, tmp_path / "b.png")
    assert found.startswith("H.264, QP ")
    assert "weights video" in found
    _, ours = halves(tmp_path / "b.png")
    with av.open(str(clip)) as opened:
        shown = [np.rot90(frame.to_ndarray(format="rgb24")) for frame in opened.decode(video=0)]
    cells = ours.reshape(112, 3, 80, 3, 3).mean((1, 3))
    errors = [np.abs(cells - frame).mean() for frame in shown]
    assert min(errors) < 6
    assert 5 < int(np.argmin(errors)) < 35


def test_what_has_nothing_to_show_is_told(upscaler: Upscaler, busy: Path, tmp_path: Path) -> None:
    with pytest.raises(LargeEnough, match="it is already 900 x 700 pixels"):
        save_preview(upscaler, busy, tmp_path / "b.png", size=Size(width=900))
    content = write_clip(tmp_path / "clip.mkv", count=3, codec="mpeg4").read_bytes()
    at = content.index(b"\x1f\x43\xb6\x75") + 20  # of the first cluster, where frames begin
    (tmp_path / "bad.mkv").write_bytes(content[:at] + bytes(len(content) - at))
    with pytest.raises(ValueError, match="bad.mkv has no frame that can be read"):
        save_preview(upscaler, tmp_path / "bad.mkv", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    whole = write_clip(tmp_path / "whole.mkv", count=60).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 4])  # before a third of its time
    save_preview(upscaler, tmp_path / "cut.mkv", tmp_path / "b.png")
    assert (tmp_path / "b.png").exists()


def test_previews_have_names_and_records_of_their_own(call: Call, busy: Path) -> None:
    folder = busy.parent
    write_clip(folder / "clip.mp4", count=2)
    done = call("upscale.py", str(folder), "--preview")
    assert done.returncode == 0, done.stderr
    assert "Previewing 1 picture and 1 video by 3 with torch" in done.stdout
    assert {path.name for path in folder.glob("*_*")} == {"busy_preview.png", "clip_preview.png"}
    done = call("upscale.py", str(folder), "--preview")
    assert "Skipped existing results: 1 picture and 1 video" in done.stdout
    done = call("upscale.py", str(folder), "--preview", "--scale", "2.5", "--format", "jpg")
    assert done.returncode == 0, done.stderr
    tables = []
    for quality in ("95", "30"):
        jpeg = ("--format", "jpg", "--quality", quality)
        done = call("upscale.py", str(folder), "--preview", "--scale", "2.5", *jpeg)
        assert ("Redoing " in done.stdout) == (quality == "30")
        with Image.open(folder / "busy_preview.jpg") as made:
            assert isinstance(made, JpegImageFile)
            tables.append(sum(made.quantization[0]))
    assert tables[1] > 5 * tables[0]
    done = call("upscale.py", str(folder), "--preview", "--scale", "2.5")
    assert "Redoing " in done.stdout
    video = str(folder / "clip.mp4")
    for arguments, words in (
        ([video, "-o", str(folder / "b.mp4")], "b.mp4 must be a picture, as previews are"),
        (
            [video, "--format", "mkv"],
            "`--format` (=mkv) is for videos, but a preview is a picture: use png",
        ),
    ):
        check_failed(call("upscale.py", "--preview", *arguments), words)
