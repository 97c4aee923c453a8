"""What `robustness/mutants.toml` names is there."""

import shlex
import tomllib

from helpers import ROOT

SETTINGS = tomllib.loads((ROOT / "robustness/mutants.toml").read_text())


def test_modules_and_their_tests_exist() -> None:
    for module, tests in SETTINGS["tests"].items():
        paths = [word for word in shlex.split(" ".join(tests)) if word.endswith(".py")]
        assert paths
        assert all((ROOT / path).is_file() for path in [module, *paths])
    assert set(SETTINGS["every"]) <= set(SETTINGS["tests"])
    assert {one["module"] for one in SETTINGS["equivalent"]} <= set(SETTINGS["tests"])


def test_equivalent_mutants_are_no_lines_of_the_modules() -> None:
    for one in SETTINGS["equivalent"]:
        lines = {line.strip() for line in (ROOT / one["module"]).read_text().splitlines()}
        assert one["why"]
        assert not lines & set(one["lines"])
