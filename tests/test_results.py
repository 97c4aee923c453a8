"""The report: its plots are those of its tables, and its words are about what is there."""

import csv
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from espcn.network.weights import SHIPPED
from helpers import ROOT, run

REPORT = ROOT / "RESULTS.md"
COMPARISONS = runpy.run_path(str(ROOT / "benchmarks/draw.py"))["COMPARISONS"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    done = run("benchmarks/draw.py", "--output", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_plot_of_the_report_is_drawn_again_from_the_tables(drawn: Path) -> None:
    shown = set(re.findall(r"\(results/(\w+)\.png\)", REPORT.read_text()))
    kernels = {"filters_first", "filters_last"}  # drawn by evaluate.py, from the weights
    assert shown - kernels == {path.stem for path in drawn.glob("*.png")}
    assert len(shown) > 8
    for path in drawn.glob("*.png"):
        with Image.open(path) as again, Image.open(ROOT / "results" / path.name) as kept:
            assert again.size == kept.size
            difference = np.abs(np.asarray(again, float) - np.asarray(kept, float))
        assert difference.mean() < 1, f"{path.name} is not of its table: draw it again"


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_comparisons_are_over_at_least_three_folds(name: str) -> None:
    with (ROOT / f"results/{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    settings = [column for column in COMPARISONS[name][:2] if column]
    folds: dict[tuple, set[str]] = {}
    for row in rows:
        if row["status"] == "completed":
            choice = tuple(row[column] for column in settings)
            folds.setdefault(choice, set()).add(row["data.fold"])
    assert len(folds) >= 2
    assert all(len(seen) >= 3 for seen in folds.values())


def test_links_of_the_readme_and_the_report_lead_somewhere() -> None:
    for page in (REPORT, ROOT / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_experiments_named_in_the_report_exist() -> None:
    names = set(re.findall(r"experiment=(\w+)", REPORT.read_text()))
    assert names
    for name in names:
        assert (ROOT / f"conf/experiment/{name}.yaml").is_file()


def test_model_cards_are_those_of_the_weights_and_tables(tmp_path: Path) -> None:
    done = run("benchmarks/cards.py", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    cards = {path.name: path.read_text() for path in SHIPPED.glob("*.md")}
    assert cards == {path.name: path.read_text() for path in tmp_path.iterdir()}
    spoken_of = {
        name for text in cards.values() for name in re.findall(r"`(\w+)\.safetensors`", text)
    }
    assert spoken_of == {path.stem for path in SHIPPED.glob("*.safetensors")}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.md")), ids=lambda path: path.stem)
def test_model_cards_are_what_hubs_read(path: Path) -> None:
    _, front, text = path.read_text().split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["license"], said["pipeline_tag"]) == ("mit", "image-to-image")
    (index,) = said["model-index"]
    assert index["name"] == path.stem
    scores = {one["dataset"]["name"]: one["metrics"][0]["value"] for one in index["results"]}
    if path.stem == "espcn_x3":
        assert scores == {"Set5": 33.20, "Set14": 29.46, "BSD300": 28.54, "BSD500": 28.62}
    assert all(20 < score < 50 for score in scores.values())
    for heading in ("What it was trained on", "Figures", "What it is not for", "Licence"):
        assert f"\n## {heading}\n" in text
