"""Files that are whole or not there: written beside their final name, then renamed."""

import csv
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write under; the file appears at `path` only when the block ends well."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file; what is not finite becomes null, since JSON has no NaN."""
    write_text(path, json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, rows: list[dict[str, Any]], digits: int | None = None) -> None:
    """Write rows under the names of all their columns, in the order of first appearance.

    Floats get `digits` significant digits, if given, else all that they have.
    """
    if digits is not None:
        rows = [
            {k: float(f"{v:.{digits}g}") if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
