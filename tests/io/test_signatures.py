"""Expected suffixes are those of what Pillow has written."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espcn.io.reading import SUFFIXES
from espcn.io.signatures import is_animation, jpeg_scan, picture_suffix


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("WEBP", ".webp"), ("AVIF", ".avif"),
     ("GIF", ".gif"), ("BMP", ".bmp"), ("PPM", ".ppm")],
)  # fmt: skip
def test_suffix_is_that_of_the_content(kind: str, suffix: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, kind)
    (tmp_path / "a").write_bytes(file.getvalue())
    assert picture_suffix(tmp_path / "a") == suffix
    assert suffix in SUFFIXES


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ".heic"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", None),
        (b"II+\0\x08\0", ".tif"),  # of more than 4 GB
        (b"", None),
        (b"text", None),
    ],
)
def test_suffix_of_other_contents(content: bytes, suffix: str | None, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert picture_suffix(tmp_path / "a") == suffix


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_large_still_picture_is_no_animation_and_no_reason_to_warn(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a", kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # in place of 89 million
    assert not is_animation(tmp_path / "a")


def test_gif_with_a_frame_that_claims_too_much_is_no_animation(tmp_path: Path) -> None:
    path, (first, second) = tmp_path / "a.gif", (Image.new("L", (5, 5), grey) for grey in (0, 9))
    first.save(path, save_all=True, append_images=[second])
    assert is_animation(path)
    content = path.read_bytes()
    at = content.index(b"\x2c\0\0\0\0\5\0\5\0") + 5  # the size of the first frame
    path.write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    assert not is_animation(path)
    path.write_bytes(content[: content.rindex(b"\x2c\0\0\0\0\5\0\5\0") + 8])  # cut short
    assert not is_animation(path)


def test_scan_of_a_jpeg_without_huffman_codes_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (16, 16)).save(path)
    content = path.read_bytes()
    assert jpeg_scan(path) == content.index(b"\xff\xda") + 2
    path.write_bytes(content.replace(b"\xff\xc0", b"\xff\xc9"))  # arithmetic ones
    assert jpeg_scan(path) is None
