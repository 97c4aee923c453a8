"""The page of an evaluation: what it holds for what evaluate.py wrote."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from espcn.io.atomic import write_csv, write_json
from espcn.report.pages.evaluation import Scored, histograms, write_evaluation
from espcn.report.tables import gain
from forked import fork
from helpers import Call

RECORD: dict[str, Any] = {
    "ckpt": "espcn_x3.safetensors", "weights": "clean weights", "trained": {"r": 3},
    "provenance": {"command": "python train.py experiment=best_x3"}, "seed": 0, "device": "cpu",
    "versions": {"torch": "2.13.0"}, "duration_s": 1.5,
}  # fmt: skip


def write(directory: Path, gains: dict[str, list[float]], **changes: Any) -> str:
    """Write an evaluation with these gains by set, and return its page."""
    rows = [
        {"set": name, "image": f"{place}.png", "psnr": 30 + one, "bicubic_psnr": 30.0,
         "ssim": 0.9, "bicubic_ssim": 0.8}
        for name, some in gains.items() for place, one in enumerate(some)
    ]  # fmt: skip
    sets = {
        name: {"psnr": 30 + sum(some) / len(some), "bicubic_psnr": 30.0, "ssim": 0.9,
               "bicubic_ssim": 0.8, "images": len(some)}
        for name, some in gains.items()
    }  # fmt: skip
    write_json(directory / "evaluation.json", RECORD | {"sets": sets} | changes)
    write_csv(directory / "evaluation.csv", rows)
    page = write_evaluation(directory)
    assert page is not None
    return page.read_text()


def section(page: str, name: str) -> str:
    return re.findall(rf'<section id="{name}">.*?</section>', page, re.S)[0]


def shown(html: str) -> list[str]:
    """Return the words of the cells of a part of a page."""
    cells = re.findall(r"<t[dh].*?>(.*?)</t[dh]>", html, re.S)
    return [unescape(re.sub(r"<.*?>", "", cell)).strip() for cell in cells]


def test_sets_stand_beside_bicubic_and_the_paper(tmp_path: Path) -> None:
    cells = shown(section(write(tmp_path, {"Set5": [3.0, 2.0]}), "sets"))
    # Shi et al. 2016, Table 1: ESPCN trained on 91 images and on ImageNet, r = 3.
    assert cells[9:] == ["Set5", "2", "30.00", "32.50", "+2.50", "32.55", "33.13", "0.8000",
                         "0.9000"]  # fmt: skip


def test_paper_is_left_out_where_pictures_were_degraded_otherwise(tmp_path: Path) -> None:
    page = write(tmp_path, {"Set5": [3.0]}, jpeg=50)
    assert "33.13" not in page
    assert "degraded by blur=0 downsample=bicubic jpeg=50" in " ".join(page.split())


def test_best_and_worst_five_come_first(tmp_path: Path) -> None:
    page = write(tmp_path, {"mine": [float(one) for one in range(12)]})
    cells = shown(section(page, "gains"))
    gains = [float(cell) for cell in cells if cell.startswith("+")]
    assert gains == [11, 10, 9, 8, 7, 0, 1, 2, 3, 4]
    every = [
        float(cell) for cell in shown(section(page, "all")) if re.fullmatch(r"\+\d+\.00", cell)
    ]
    assert every == sorted(every, reverse=True)
    assert len(every) == 12


def test_set_of_five_has_no_best_and_worst(tmp_path: Path) -> None:
    page = write(tmp_path, {"Set5": [1.0] * 5})
    assert "Smallest gains" not in page
    assert page.count("<tr>") == 1 + 1 + 1 + 5 + 1 + 1  # sets, pictures, and where they are from


def test_settings_and_provenance_are_told(tmp_path: Path) -> None:
    text = unescape(section(write(tmp_path, {"Set5": [1.0]}), "settings"))
    for words in ("python train.py experiment=best_x3", "clean weights", "2.13.0", "1.5 s"):
        assert words in text


def test_histogram_counts_every_picture_once_and_losses_in_another_colour() -> None:
    gains = [-0.31, -0.05, 0.0, 0.04, 0.3, 2.9]
    figures = [{"psnr": 30 + one, "bicubic_psnr": 30.0} for one in gains]
    pictures = [Scored(place, "a", "", one) for place, one in enumerate(figures)]
    unknown = Scored(9, "a", "", {"psnr": float("inf"), "bicubic_psnr": float("inf")})
    (chart,) = histograms([*pictures, unknown])
    counted = [(int(bar.label.split()[0]), bar.color) for bar in chart.bars]
    assert sum(count for count, _ in counted) == 6
    assert sum(count for count, color in counted if color == 1) == 2
    assert chart.marks[0][1] == "mean +0.48 dB"  # 2.88 / 6
    assert histograms([unknown]) == []


def test_gain_is_unknown_where_a_figure_is() -> None:
    assert gain({"psnr": 31.5, "bicubic_psnr": 30.0}) == 1.5
    assert gain({"ssim": 0.9, "bicubic_ssim": 0.8}, "ssim") == pytest.approx(0.1)
    for figures in ({}, {"psnr": 30.0}, {"psnr": float("inf"), "bicubic_psnr": 3.0}):
        assert gain(figures) is None


def test_page_without_pictures_needs_no_slider(tmp_path: Path) -> None:
    page = write(tmp_path, {"Set5": [1.0]})
    assert 'class="divider"' not in page
    assert len(page) < 60_000


def test_large_set_shows_pictures_when_they_are_asked_for(pictures: Path, tmp_path: Path) -> None:
    saved = tmp_path / "mine"
    saved.mkdir()
    for place in range(300):
        (saved / f"{place}_original.png").write_bytes((pictures / "color0.png").read_bytes())
    page = write(tmp_path, {"mine": [float(place) for place in range(300)]})
    cards = page.split('class="gallery"')
    assert [card.count('class="card"') for card in cards] == [0, 5, 5, 290]
    assert "<details>" in cards[3]
    assert page.count("<img ") == page.count('loading="lazy"') == 600
    assert len(page) < 2_000_000


def test_pictures_that_were_taken_away_have_no_slider(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    kept = tmp_path / "mine" / "11_original.png"
    kept.write_bytes((pictures / "color0.png").read_bytes())
    page = write(tmp_path, {"mine": [float(place) for place in range(12)]})
    assert page.count('class="gallery"') == page.count('class="card"') == 1
    assert page.count('href="#picture12"') == 2  # from the best five, and from the table
    assert 'href="#picture1"' not in page


def test_pictures_and_kernels_of_an_earlier_evaluation_are_not_shown(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    into = [f"sets=[{pictures}]", f"output={tmp_path}"]
    assert call("evaluate.py", *into, "save_images=true", "save_filters=true").returncode == 0
    page = tmp_path / "report.html"
    assert 'class="divider"' in page.read_text()
    assert "filters_first.png" in page.read_text()
    assert call("evaluate.py", *into, "r=4", "jpeg=30").returncode == 0
    assert 'class="divider"' not in page.read_text()
    assert "filters_first.png" not in page.read_text()
    # Earlier versions did not record what they saved: their pages show what is there.
    path = tmp_path / "evaluation.json"
    record = json.loads(path.read_text())
    write_json(path, {k: v for k, v in record.items() if not k.startswith("save_")})
    write_evaluation(tmp_path)
    assert 'class="divider"' in page.read_text()
    assert "filters_first.png" in page.read_text()


def test_evaluation_of_no_set_writes_no_page(call: Call, tmp_path: Path) -> None:
    done = call("evaluate.py", "sets=[]", "save_filters=true", f"output={tmp_path}")
    assert done.returncode == 0
    assert "Warning" not in done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"filters_first.png", "filters_last.png", ".lock"}


def test_figures_are_safe_where_no_page_can_be_written(call: Call, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    done = call("evaluate.py", "sets=[skimage-test]", f"output={tmp_path}")
    assert done.returncode == 0
    assert "Warning: no page was written" in done.stderr
    assert f"try again with python -m espcn.report {tmp_path}" in done.stderr
    assert json.loads((tmp_path / "evaluation.json").read_text())["sets"]["skimage-test"]
    (tmp_path / "report.html").rmdir()
    again = fork("-m", "espcn.report", str(tmp_path))
    assert again.stdout == f"Written: {tmp_path / 'report.html'}\n"
    assert "chelsea.png" in (tmp_path / "report.html").read_text()
