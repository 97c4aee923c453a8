"""Claims: one process writes a file, and what killed ones have left is removed."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from espcn.io.atomic import atomic_write
from espcn.io.claims import claim, remove_leftovers


def test_a_file_is_claimed_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    (tmp_path / ".result.txt.claim").touch()  # by one who was killed
    with claim(path) as mine, claim(path) as others, claim(tmp_path / "other") as another:
        assert (mine, others, another) == (True, False, True)
    with claim(path) as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(FileNotFoundError, match=r"nowhere/result.txt"),
        claim(tmp_path / "nowhere/result.txt"),
    ):
        pass


def test_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = f"""if True:
        import os
        from pathlib import Path
        from espcn.io.claims import claim
        with claim(Path({str(tmp_path / "a")!r})) as mine:
            print(mine, flush=True)
            input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with claim(tmp_path / "a") as mine:
            assert not mine
        other.kill()
        other.wait()
    with claim(tmp_path / "a") as mine:
        assert mine


def test_file_of_a_writer_who_has_just_begun_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / ".a.part"
    part.write_text("of one who ends")

    def lock_late(file: Any, how: int) -> None:  # between opening and locking, others were at work
        part.rename(tmp_path / "a")
        part.write_text("of one who has just begun")
        flock(file, how)

    flock = fcntl.flock
    monkeypatch.setattr("espcn.io.claims.fcntl.flock", lock_late)
    remove_leftovers([tmp_path / "a"])
    assert part.read_text() == "of one who has just begun"


@pytest.mark.parametrize("name", ["result.txt", "r" * 255, "a[1]+.txt"])
def test_leftovers_are_removed_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("whole")
    with atomic_write(path) as part:
        left = part.with_name(part.name.replace(".part", ".0123abcd.part"))
    left.write_text("a half")
    theirs = tmp_path / ".result.txt.old.part"
    theirs.write_text("not ours")
    with atomic_write(path) as part, claim(path):
        held = set(tmp_path.iterdir())
        remove_leftovers([path])
        assert {path, theirs, part} <= set(tmp_path.iterdir()) < held
    assert sorted(tmp_path.iterdir()) == sorted([path, theirs])
    remove_leftovers([tmp_path / "missing" / name])
