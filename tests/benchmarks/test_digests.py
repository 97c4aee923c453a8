"""The command that writes the digests of the known sets."""

from helpers import ROOT, run


def test_help_and_unknown_sets_leave_the_digests_alone() -> None:
    files = sorted((ROOT / "espcn/data/checksums").glob("*.pixels.txt"))
    before = [path.stat().st_mtime_ns for path in files]
    done = run("benchmarks/digests.py", "--help")
    assert done.returncode == 0
    assert "Set14" in done.stdout
    done = run("benchmarks/digests.py", "Sett5")
    assert done.returncode == 2
    assert "SET (=Sett5) must be one of T91" in done.stderr
    assert [path.stat().st_mtime_ns for path in files] == before
