"""Expected listings are written by hand, expected digests are hashlib's."""

import hashlib
from pathlib import Path

import pytest

from espcn.files import digest, visible_files


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with a hidden file and folder, and a link that leads back up."""
    for name in ("b.png", "a/2.png", "a/1.png", ".hidden.png", ".hidden/3.png", "c/4.png"):
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "top/a/up").symlink_to(tmp_path / "top")
    return tmp_path / "top"


def names(top: Path, **options: object) -> list[str]:
    found = visible_files(top, pytest.fail, **options)  # type: ignore[arg-type]
    return [path.relative_to(top).as_posix() for path in found]


def test_hidden_ones_are_left_out_and_links_end(top: Path) -> None:
    assert names(top) == ["b.png", "a/1.png", "a/2.png", "c/4.png"]


def test_linked_folders_are_gone_into_once(top: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "other" / name).mkdir(parents=True)
    (tmp_path / "other/one/5.png").touch()
    (tmp_path / "other/two/again").symlink_to(tmp_path / "other/one")
    (top / "d").symlink_to(tmp_path / "other")
    assert names(top)[-1] == "d/one/5.png"
    assert sum(name.endswith("5.png") for name in names(top)) == 1


def test_only_the_wanted_subfolders_are_gone_into(top: Path) -> None:
    assert names(top, enters=lambda folder: folder != top / "a") == ["b.png", "c/4.png"]


def test_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    errors: list[OSError] = []
    assert not list(visible_files(tmp_path / "missing", errors.append))
    assert [error.filename for error in errors] == [str(tmp_path / "missing")]


def test_digest_is_that_of_the_content(top: Path) -> None:
    assert digest(top / "b.png") == hashlib.sha256(b"b.png").hexdigest()
