"""Tables: what they show."""

from espcn import report


def test_paper_stands_beside_a_run_only_on_the_benchmark() -> None:
    figures = {"bicubic": {"Set5": 30.39}, "this run": {"Set5": 33.0}}
    assert "32.55" in report.score_table(3, figures)  # Shi et al. 2016, Table 1, ESPCN (91)
    assert "32.55" not in report.score_table(3, figures, benchmark=False)
    assert "ESPCN (91)" not in report.score_table(2, figures)
    assert "ESPCN (91)" not in report.score_table(3, {"bicubic": {"mine": 30.0}})


def test_settings_keep_their_digits_and_figures_get_two() -> None:
    lines = report.table([{"blur": 0.125, "psnr": 30.123, "note": None}], settings=["blur"])
    assert lines.splitlines()[-1].split() == ["0.125", "30.12"]
