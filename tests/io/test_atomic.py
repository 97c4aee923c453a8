"""What was written is read back by json, csv or Path, never by the module that is tested."""

import csv
import errno
import json
import math
import os
import sys
from pathlib import Path

import pytest

from espcn.io.atomic import (
    atomic_write,
    check_folder,
    make_folder,
    sync_folder,
    together,
    write_csv,
    write_json,
    write_text,
)


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with atomic_write(path) as part:
        part.write_text("half")
        assert not path.exists()
        assert part.parent == tmp_path  # a rename across file systems would not be one step
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_error_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with atomic_write(tmp_path / "result.txt") as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_error_before_anything_is_written_comes_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "result.txt"):
        _ = 1 / 0
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "result.txt") as part:
        part.unlink()  # nothing to rename
    assert list(tmp_path.iterdir()) == []


def test_error_of_a_missing_folder_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "result.txt"
    with pytest.raises(FileNotFoundError) as error, atomic_write(path):
        pass
    assert error.value.filename == str(path)


def test_error_leaves_the_old_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"a": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["n" * 255, "½" * 127, os.fsdecode(b"\xff" * 255)])
def test_file_has_any_name_that_a_file_system_takes(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_long_names_are_written_side_by_side(tmp_path: Path) -> None:
    one, other = (tmp_path / ("n" * 254 + end) for end in "ab")
    with atomic_write(one) as part, atomic_write(other) as another:
        part.write_text("one")
        another.write_text("other")
    assert (one.read_text(), other.read_text()) == ("one", "other")


def test_two_writers_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with atomic_write(path) as one:
        with pytest.raises(ZeroDivisionError), atomic_write(path):
            _ = 1 / 0
        with atomic_write(path) as other:
            assert other != one
            other.write_text("second")
        one.write_text("first")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_used_up(tmp_path: Path) -> None:
    (tmp_path / ".result.txt.part").write_text("a half of something long")
    with atomic_write(tmp_path / "result.txt") as part:
        assert part.read_text() == ""
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]


def test_full_disk_is_told_of_the_file(tmp_path: Path) -> None:
    path, words = tmp_path / "result.txt", r"No space left on device: '.*result.txt'"
    with pytest.raises(OSError, match=words), atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="^in words of its own$"), atomic_write(tmp_path / "a"):
        raise OSError("in words of its own")


def test_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "folder", "-o", "folder")
    (tmp_path / "file").touch()
    words = r"`-o` \(=folder\) must be a folder that can be written to: Not a directory"
    with pytest.raises(ValueError, match=words):
        check_folder(tmp_path / "file" / "folder", "-o", "folder")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are synced, in order, while the real syncs go on."""
    folders: list[Path] = []
    real = os.fsync

    def fsync(opened: int) -> None:
        real(opened)
        for folder in {Path.cwd(), *Path.cwd().rglob("*")}:
            if folder.is_dir() and os.path.samestat(os.fstat(opened), folder.stat()):
                folders.append(folder.relative_to(Path.cwd()))

    monkeypatch.setattr(os, "fsync", fsync)
    return folders


def test_folders_are_synced_from_the_outermost(
    synced: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(Path("a/b/c"))
    assert Path("a/b/c").is_dir()
    assert synced == [Path(), Path("a"), Path("a/b")]
    make_folder(Path("a/b"))
    assert synced[3:] == [Path("a")]


def test_folder_is_synced_after_each_file_or_once_for_all(
    synced: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    for name in "12":
        write_text(Path("a", name), name)
    assert synced == [Path("a")] * 2
    with together():
        with together():
            for name in "345":
                write_text(Path("a", name), name)
        write_text(Path("6"), "6")
        assert len(synced) == 2
    assert sorted(synced[2:]) == [Path(), Path("a")]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc, which refuses")
def test_file_system_that_cannot_sync_folders_is_left_alone() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(os.open("/proc", os.O_RDONLY))  # closed with the process
    sync_folder(Path("/proc"))


def test_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(os, "fsync", lambda opened: (_ for _ in ()).throw(failure))
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)


def test_old_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "a longer old text")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "é.md", "é = ½ → ∞\n")
    assert (tmp_path / "é.md").read_bytes() == "é = ½ → ∞\n".encode()


def test_json_has_null_for_what_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    content = {
        "psnr": math.nan,
        "runs": [1, 2.5, math.inf, {"loss": -math.inf}],
        "pair": (0.0, math.nan),
        "kept": [True, None, "NaN", "½"],
    }
    write_json(path, content)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse) == {
        "psnr": None,
        "runs": [1, 2.5, None, {"loss": None}],
        "pair": [0.0, None],
        "kept": [True, None, "NaN", "½"],
    }
    assert "½" in path.read_text(encoding="utf-8")
    assert math.isnan(content["psnr"])  # the caller's own stays


def test_json_keeps_names_that_are_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xe9 \xc2\xbd.png")
    write_json(tmp_path / "meta.json", {"bad": name})
    text = (tmp_path / "meta.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"bad": name}
    assert "½" in text


def test_csv_has_the_columns_of_all_rows_in_order_of_appearance(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    write_csv(path, [{"b": 1, "a": "x, y"}, {"c": 0.5, "a": "½"}, {}])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["b", "a", "c"], ["1", "x, y", ""], ["", "½", "0.5"], ["", "", ""]]


def test_csv_takes_names_that_are_not_utf_8(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"image": os.fsdecode(b"caf\xe9.png")}])
    assert (tmp_path / "a.csv").read_bytes().splitlines() == [b"image", b"caf\xe9.png"]


def test_csv_without_rows_is_written(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    write_csv(path, [])
    assert path.read_text().strip() == ""
