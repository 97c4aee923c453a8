"""The notebook: it runs from top to bottom, and what is committed is a whole run of it."""

import ast
import json
import os
import re
import runpy
from collections.abc import Iterator
from typing import Any

import pytest

import espcn
from helpers import ROOT

PATH = ROOT / "notebooks/espcn.ipynb"
SHORT = """
import functools

import pytorch_lightning as pl

seconds, epochs, source, benchmark = 0.1, 1, "skimage", "skimage-test"
pl.Trainer = functools.partial(pl.Trainer, limit_train_batches=20)
"""
DISPLAYED = ("image/png", "text/markdown", "text/plain")  # each comes with those to its right


def committed() -> Any:
    return json.loads(PATH.read_text(encoding="utf-8"))


def text(part: Any) -> str:
    return part if isinstance(part, str) else "".join(part)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(cell: Any) -> list[str]:
    """Return what a cell has put out, in order: `stdout`, or the type of what is displayed."""
    found = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            found.append(output["name"])
        else:
            data = output.get("data", ["error"])
            found.append(next(kind for kind in (*DISPLAYED, "error") if kind in data))
    return found


def shown(notebook: Any) -> Iterator[str]:
    """Yield all text that cells have put out."""
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            yield text(output.get("text", ""))
            for kind, value in output.get("data", {}).items():
                if kind.startswith("text/"):
                    yield text(value)


@pytest.mark.slow
def test_runs_from_top_to_bottom_and_puts_out_what_is_committed() -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    executed = runpy.run_path(str(ROOT / "notebooks/execute.py"))["executed"]
    cells = code_cells(executed(SHORT))
    made = [kinds(cell) for cell in cells if cell["source"] != SHORT]
    assert made == [kinds(cell) for cell in code_cells(committed())]


def test_committed_outputs_are_of_one_run_without_errors_or_warnings() -> None:
    cells = code_cells(committed())
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not {"error", "stderr"} & {kind for cell in cells for kind in kinds(cell)}
    assert sum(kinds(cell).count("image/png") for cell in cells) > 15


def test_committed_outputs_are_small_and_tell_nothing_of_the_machine() -> None:
    assert PATH.stat().st_size < 2_000_000
    notebook = committed()
    assert not [cell for cell in notebook["cells"] if "execution" in cell["metadata"]]
    words = "\n".join(shown(notebook))
    assert not re.findall(r"/(?:root|home|tmp|usr)/\S*|site-packages|0x[0-9a-f]{6,}", words)
    assert os.path.expanduser("~/") not in words


def test_only_the_face_of_the_package_is_used() -> None:
    tree = ast.parse("\n".join(text(cell["source"]) for cell in code_cells(committed())))
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "espcn":
            assert node.module == "espcn"
            used |= {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            assert not [name for name in node.names if name.name.split(".")[0] == "espcn"]
    assert used
    assert used <= set(espcn.__all__)


def test_committed_table_is_that_of_the_results() -> None:
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    (table,) = [words for words in shown(committed()) if words.startswith("| r = 3, PSNR")]
    assert table in results


def test_badge_opens_this_file_of_the_repository_that_the_first_cell_clones() -> None:
    first = text(code_cells(committed())[0]["source"])
    (address,) = re.findall(r'REPOSITORY = "(?:https://)?(\S+)"', first)
    name = PATH.relative_to(ROOT).as_posix()
    target = f"{address.replace('.com/', '/')}/blob/main/{name}"
    badge = text(committed()["cells"][0]["source"])
    assert f"](https://colab.research.google.com/{target})" in badge


def test_links_lead_to_headings_and_files_that_there_are() -> None:
    words = "\n".join(
        text(cell["source"]) for cell in committed()["cells"] if cell["cell_type"] == "markdown"
    )
    headings = {head.replace(" ", "-") for head in re.findall(r"(?m)^#+ (.*)$", words)}
    links = re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", words)
    assert len(links) > 12
    for file, anchor in links:
        if file:
            assert (PATH.parent / file).is_file(), file
        else:
            assert anchor in headings, anchor
