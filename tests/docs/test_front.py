"""The site's front page: sliders over real results, and the page to try on one's own pictures."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from helpers import ROOT

front = pytest.importorskip("docs.front", exc_type=ImportError)  # which needs MkDocs


def test_front_page_leads_to_the_page_and_shows_sliders_of_pictures_that_are_there() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    text = front.on_page_markdown((ROOT / "README.md").read_text(encoding="utf-8"), page=page)
    assert f"]({front.TRY})" in text
    assert "before_after.png" not in text
    assert text.count('class="divider"') == 3
    shown = re.findall(r'src="(.*?)"', text)
    pictures = front._pictures()
    assert sorted(shown) == sorted(pictures)
    for before, after in zip(shown[::2], shown[1::2], strict=True):
        pixels = [np.asarray(Image.open(io.BytesIO(pictures[name]))) for name in (before, after)]
        assert pixels[0].shape == pixels[1].shape == (front.HEIGHT, front.WIDTH, 3)
        across = [np.abs(np.diff(one.astype(float), axis=1)).mean() for one in pixels]
        assert across[1] > 1.1 * across[0]  # sharper than bicubic


def test_other_pages_stay_but_for_the_link_to_the_page() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="export.md"))
    text = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    made = front.on_page_markdown(text, page=page)
    assert made.replace(f"[`{front.TRY}`]({front.TRY})", f"`{front.TRY}`") == text != made
    other = SimpleNamespace(file=SimpleNamespace(src_uri="method.md"))
    assert front.on_page_markdown(text, page=other) == text
