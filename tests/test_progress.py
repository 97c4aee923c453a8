import io
import sys
import time

import pytest

from espcn.progress import bar


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
