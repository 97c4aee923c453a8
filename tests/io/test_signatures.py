"""Expected suffixes are those of what Pillow has written."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espcn.io.reading import SUFFIXES
from espcn.io.signatures import is_animation, picture_suffix


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
