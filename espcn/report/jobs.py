"""The jobs of a sweep: the settings in which they differ, and their means over folds and seeds."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

REPEATS = ("data.fold", "seed")  # swept to measure chance, not to be compared
DATA = ("dataset", "fingerprint")  # no settings, but what they were tried on
# Options of PyTorch's optimisers and Lightning's Trainer, most of which have no default in conf/: a
# job that lacks one was trained without it.
OPEN = ("optim.", "trainer.")
MATCHED = "val_psnr_matched"
DAMAGED = "damaged"  # the status of a job whose settings can't be read


def setting_names(row: dict[str, Any]) -> list[str]:
    """Return the names of a job's settings.

    Args:
        row: A row of sweep.csv: `run`, the settings, `status` and the results.

    Returns:
        The names between `run` and `status`.
    """
    return list(row)[1 : list(row).index("status")]


def swept_settings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the settings that differ between jobs and don't depend on another.

    Args:
        rows: Rows of sweep.csv; those of damaged jobs, whose settings are unknown, are left out.

    Returns:
        The names, including those of DATA if jobs were trained on different images.
    """
    rows = [row for row in rows if row.get("status") != DAMAGED]
    settings = [name for row in rows for name in setting_names(row)]
    # Any other setting that a job lacks is one that its version lacked, and no choice.
    values = {
        name: {str(row.get(name)) for row in rows if name in row or name.startswith(OPEN)}
        for name in settings
    }
    names = [name for name, found in values.items() if len(found) > 1]
    if "optim" in names:
        names = [name for name in names if not _follows_optimizer(rows, name)]
    if "lr" in names:
        names = [name for name in names if name != "optim.lr"]  # only the default of `lr`
    return [*names, *DATA] if _on_different_images(rows) else names


def mean_rows(rows: Sequence[dict[str, Any]], settings: Sequence[str]) -> list[dict[str, Any]]:
    """Return the mean `val_psnr` over the repetitions of each combination of some settings.

    Args:
        rows: Rows of sweep.csv; those without a `val_psnr` are left out.
        settings: The settings that distinguish combinations.

    Returns:
        Rows, the best first: the settings, `val_psnr`, its standard `deviation` (None for a single
        job), `val_psnr_matched` if it differs in any job, and the number of `jobs`.
    """
    matched = has_matched(rows)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("val_psnr") is not None:
            groups.setdefault(str([row.get(name) for name in settings]), []).append(row)
    lines = []
    for group in groups.values():
        values = [row["val_psnr"] for row in group]
        spread = statistics.stdev(values) if len(values) > 1 else None
        line = {name: group[0].get(name) for name in settings}
        line |= {"val_psnr": statistics.mean(values), "deviation": spread}
        if matched:
            known = [row[MATCHED] for row in group if row.get(MATCHED) is not None]
            line[MATCHED] = statistics.mean(known) if known else None
        lines.append(line | {"jobs": len(values)})
    return sorted(lines, key=lambda line: -line["val_psnr"])


def has_matched(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether a job's PSNR on pictures degraded as in its training is a figure of its own.

    Args:
        rows: Rows of sweep.csv.

    Returns:
        Whether `val_psnr_matched` differs from `val_psnr`, which is on bicubic pictures, in any.
    """
    return any(row.get(MATCHED) not in (None, row.get("val_psnr")) for row in rows)


def is_number(value: Any) -> bool:
    """Return whether a setting's value can be placed on a numeric axis.

    Args:
        value: Any setting's value.

    Returns:
        True for integers and floats, but not for booleans.
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def ordered(values: Iterable[Any]) -> list[Any]:
    """Return the distinct values of a setting: null first, then numbers, then the rest by name.

    Args:
        values: Plain values; lists are converted to their names.

    Returns:
        The values in order.
    """

    def order(value: Any) -> tuple[int, Any]:
        if value is None:
            return 0, 0
        return (1, value) if is_number(value) else (2, name_of(value))

    plain = (name_of(value) if isinstance(value, list | tuple) else value for value in values)
    return sorted(dict.fromkeys(plain), key=order)


def name_of(value: Any) -> str:
    """Return a setting's value as written on the command line.

    Args:
        value: Any plain value.

    Returns:
        `null`, `true`, `0.5`, `[30, 95]` or text.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(name_of, value))}]"
    return str(value)


def _follows_optimizer(rows: Sequence[dict[str, Any]], name: str) -> bool:
    """Return whether a setting is the optimiser's, with one value for each optimiser."""
    if name != "lr" and not name.startswith("optim."):
        return False
    by_optimizer: dict[str, set[str]] = {}
    for row in rows:
        by_optimizer.setdefault(str(row.get("optim")), set()).add(str(row.get(name)))
    return all(len(found) == 1 for found in by_optimizer.values())


def _on_different_images(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether jobs used different images, not only different encodings of the same."""
    seen: dict[Any, set[str]] = {}
    for row in rows:
        if row.get("fingerprint"):  # which the versions of the encoders are part of
            encoders = {k: v for k, v in row.items() if k.startswith("encoders.") and v is not None}
            seen.setdefault(str(encoders), set()).add(row["fingerprint"])
    names = {row["dataset"] for row in rows if row.get("dataset")}
    return len(names) > 1 or any(len(fingerprints) > 1 for fingerprints in seen.values())
