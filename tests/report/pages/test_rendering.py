"""What all pages have in common."""

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

import pytest

from espcn.report.pages.rendering import address, duration, number, write_page
from helpers import ROOT

ASSETS = ROOT / "espcn/report/assets"
RUN = {
    "title": "<script>alert(1)</script>", "result": {}, "settings": {}, "given": {}, "facts": {},
    "commands": ["python train.py '<b>'"], "tables": [], "charts_of_epochs": [], "epochs": [],
    "count": 0, "best": None, "patches": [], "sweep": None, "files": [],
}  # fmt: skip


def test_all_text_is_escaped(tmp_path: Path) -> None:
    page = write_page(tmp_path / "run.html", "run.html", ["tables"], **RUN).read_text()
    assert page.count("<script>") == 1  # the page's own
    assert "<b>" not in page
    assert unescape(page).count("<script>alert(1)</script>") == 2  # title and heading


def test_policy_lets_the_pages_own_scripts_run_and_loads_from_nowhere_else(tmp_path: Path) -> None:
    page = write_page(tmp_path / "run.html", "run.html", ["tables", "sweep"], **RUN).read_text()
    policy = unescape(re.findall(r'Content-Security-Policy" content="(.*?)"', page)[0])
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "'unsafe-inline'" not in policy.split(";")[1]  # script-src
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 2
    for script in scripts:
        digest = hashlib.sha256(script.encode()).digest()
        assert f"sha256-{base64.b64encode(digest).decode()}" in policy


def test_nothing_is_half_written(tmp_path: Path) -> None:
    (tmp_path / "run.html").write_text("before")
    with pytest.raises(Exception, match="'title' is undefined"):
        write_page(tmp_path / "run.html", "run.html", **{k: RUN[k] for k in RUN if k != "title"})
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
    assert (tmp_path / "run.html").read_text() == "before"


def test_name_that_is_not_utf8_is_shown_all_the_same(tmp_path: Path) -> None:
    page = write_page(tmp_path / "a.html", "run.html", **RUN | {"title": "caf\udce9.png"})
    assert r"caf\udce9.png" in page.read_text()
    assert address("caf\udce9.png") == "caf%E9.png"


def test_addresses_lead_beside_the_page_whatever_a_file_is_called() -> None:
    assert address(Path("a b") / "c#d?e%f:g.png") == "a%20b/c%23d%3Fe%25f%3Ag.png"
    assert address('"><script>') == "%22%3E%3Cscript%3E"


def test_figures_and_times_are_written_as_people_read_them() -> None:
    assert [number(one) for one in (1.005, None)] == ["1.00", ""]
    assert number(-0.5, "+.2f") == "\N{MINUS SIGN}0.50"
    times = {None: "", 0.72: "0.7 s", 12: "12 s", 123: "2 min 3 s", 3900: "1 h 5 min"}
    assert [duration(seconds) for seconds in times] == list(times.values())
