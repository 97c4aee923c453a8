"""Tables: what they show."""

import subprocess

import pytest

from espcn.report import tables, versions
from helpers import ROOT


def test_paper_stands_beside_a_run_only_on_the_benchmark() -> None:
    figures = {"bicubic": {"Set5": 30.39}, "this run": {"Set5": 33.0}}
    assert "32.55" in tables.score_table(3, figures)  # Shi et al. 2016, Table 1, ESPCN (91)
    assert "32.55" not in tables.score_table(3, figures, benchmark=False)
    assert "ESPCN (91)" not in tables.score_table(2, figures)
    assert "ESPCN (91)" not in tables.score_table(3, {"bicubic": {"mine": 30.0}})


def test_settings_keep_their_digits_and_figures_get_two() -> None:
    lines = tables.table([{"blur": 0.125, "psnr": 30.123, "note": None}], settings=["blur"])
    assert lines.splitlines()[-1].split() == ["0.125", "30.12"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a checkout")
def test_versions_name_the_commit_and_whether_it_was_changed() -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
        return done.stdout.decode().strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    expected = git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    assert versions.versions()["commit"] == expected
