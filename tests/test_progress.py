import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espcn.progress import bar
from helpers import ROOT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Draw a bar within another."""
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in bar(range(2), "Outer", unit="file"):
        for _ in bar(range(3), "Inner", unit="row", leave=False):
            time.sleep(0.15)
    return stream.getvalue()


def test_bars_move_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn(Terminal(), monkeypatch)
    assert 6 <= shown.count("Inner") <= 12
    assert "\r" in shown


def test_log_file_gets_whole_lines_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(io.StringIO(), monkeypatch).splitlines()
    assert [line.split(":")[0] for line in lines] == ["Outer", "Inner", "Inner", "Outer"]
    assert "\r" not in "".join(lines)
    assert "\x1b" not in "".join(lines)  # which moves the cursor
    assert "100%" in lines[-1]
    assert "2/2" in lines[-1]


def test_what_was_printed_comes_before_the_bar(tmp_path: Path) -> None:
    code = "from espcn.progress import bar; print('printed'); [None for _ in bar(range(2), 'Bar')]"
    log = tmp_path / "log"
    with log.open("w") as file:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=file, stderr=file, check=True,
                       env=os.environ | {"PYTHONUNBUFFERED": ""})  # fmt: skip
    assert log.read_text().startswith("printed\n")
