"""What is read back from files, of which some are damaged."""

from pathlib import Path

import pytest
from PIL import Image

from espcn.io.atomic import write_csv
from espcn.report.pages.stored import read_head, read_json, read_lines, read_rows, read_yaml


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    row = {"blur": 0.25, "epochs": 3, "data.augment": True, "jpeg": None, "mu": 1e-06, "optim": "a"}
    write_csv(tmp_path / "a.csv", [row])
    assert read_rows(tmp_path / "a.csv") == [row]


def test_names_and_digests_stay_text_though_they_look_like_numbers(tmp_path: Path) -> None:
    row = {"run": "0012", "fingerprint": "12e4567890123456", "image": "0001", "versions.x": "1.10"}
    write_csv(tmp_path / "a.csv", [row])
    assert read_rows(tmp_path / "a.csv") == [row]


def test_losses_that_are_not_finite_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\ninf,nan\n")
    (row,) = read_rows(tmp_path / "a.csv")
    assert row["a"] == float("inf")
    assert row["b"] != row["b"]


@pytest.mark.parametrize("content", [None, "", "[", "{", "\x00", "[1, 2]"])
def test_missing_and_damaged_files_hold_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    assert read_json(path) == {}
    assert read_yaml(path) == {}
    assert read_rows(path) == []
    assert read_lines(path) == ([] if content is None else content.splitlines())


def test_head_of_a_png_tells_its_size_and_kind(tmp_path: Path) -> None:
    for mode, is_grey in (("L", True), ("RGB", False)):
        Image.new(mode, (31, 17)).save(tmp_path / "a.png")
        head = read_head(tmp_path / "a.png")
        assert head is not None
        assert (head.width, head.height, head.is_grey) == (31, 17, is_grey)
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert read_head(tmp_path / "a.png") is None
    assert read_head(tmp_path / "none.png") is None
