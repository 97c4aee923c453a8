"""Run the notebook from top to bottom, and store its outputs in it.

python notebooks/execute.py
"""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from espcn.io.atomic import atomic_write

NOTEBOOK = Path(__file__).parent / "espcn.ipynb"
TIMEOUT = 900  # seconds for a cell


def executed(parameters: str = "") -> Any:
    """Run the notebook as it is, or with other parameters.

    Args:
        parameters: A line of Python that is run after the cell tagged `parameters`.

    Returns:
        The notebook with its new outputs, without times and versions.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if parameters:
        tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
        (place,) = [number for number, own in enumerate(tags) if "parameters" in own]
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(parameters))
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=TIMEOUT, record_timing=False, resources=where).execute()
    notebook.metadata["language_info"] = {"name": "python"}  # not which version it was
    return notebook


if __name__ == "__main__":
    done = executed()
    with atomic_write(NOTEBOOK) as part:
        nbformat.write(done, part)
