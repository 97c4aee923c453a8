import io
import sys
import time

import pytest

from espcn.progress import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "least", "most"), [(Terminal, 4, 8), (io.StringIO, 2, 2)])
def test_a_bar_moves_in_a_terminal_and_leaves_a_log_file_alone(
    kind: type[io.StringIO], least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream := kind())
    for _ in bar(range(4), "Cutting", unit="image"):
        time.sleep(0.15)
    drawn = stream.getvalue().count("Cutting")
    assert least <= drawn <= most  # at the start and at the end in any case
