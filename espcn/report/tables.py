"""Tables of figures with the paper's, independent of networks."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from tabulate import tabulate

# Shi et al. 2016, Table 1 and 2: PSNR in dB on luma, by factor, trained on 91 images or ImageNet.
PAPER: dict[int, dict[str, dict[str, float]]] = {
    3: {
        "ESPCN (91)": {"Set5": 32.55, "Set14": 29.08, "BSD300": 28.26, "BSD500": 28.34},
        "ESPCN (ImageNet)": {"Set5": 33.13, "Set14": 29.49, "BSD300": 28.54, "BSD500": 28.64},
    },
    4: {"ESPCN (ImageNet)": {"Set5": 30.90, "Set14": 27.73, "BSD300": 27.06, "BSD500": 27.07}},
}


def table(
    rows: Sequence[dict[str, Any]],
    digits: int = 2,
    settings: Collection[str] = (),
    markdown: bool = False,
) -> str:
    """Return rows as text in aligned columns, with blanks for None.

    Args:
        rows: Values by column.
        digits: Decimal places of figures: 2 for PSNR, 4 for SSIM.
        settings: Columns that keep all digits.
        markdown: Format the table as Markdown.

    Returns:
        The table, without a line break at its end.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for name in names] for row in rows]
    formats = ["g" if name in settings else f".{digits}f" for name in names]
    style = "github" if markdown else "simple"
    return tabulate(cells, names, tablefmt=style, floatfmt=formats, missingval="")


def gain(figures: dict[str, Any], name: str = "psnr") -> float | None:
    """Return a network's gain over bicubic.

    Args:
        figures: The figures of a picture or a set, named as in evaluation.json.
        name: psnr or ssim.

    Returns:
        The difference; None if it is unknown or not finite.
    """
    ours, bicubic = figures.get(name), figures.get(f"bicubic_{name}")
    if ours is None or bicubic is None or not math.isfinite(ours - bicubic):
        return None
    return ours - bicubic


def beside_paper(
    r: int, figures: dict[str, dict[str, float]], benchmark: bool = True
) -> dict[str, dict[str, float]]:
    """Return columns of PSNR on test sets with the paper's after them.

    Args:
        r: The factor.
        figures: dB by test set, by column ("bicubic", "this run").
        benchmark: Whether the degradation is the benchmark's; the paper's figures appear only then.

    Returns:
        The same, and those of the paper's columns that contain one of the sets.
    """
    sets = {name for column in figures.values() for name in column}
    paper = PAPER.get(r, {}) if benchmark else {}
    return figures | {title: column for title, column in paper.items() if column.keys() & sets}


def score_table(r: int, figures: dict[str, dict[str, float]], benchmark: bool = True) -> str:
    """Return a table of PSNR on test sets with the paper's figures.

    Args:
        r: The factor.
        figures: dB by test set, by column ("bicubic", "this run").
        benchmark: Whether the degradation is the benchmark's; the paper's figures appear only then.

    Returns:
        The table.
    """
    sets = list(dict.fromkeys(name for column in figures.values() for name in column))
    columns = beside_paper(r, figures, benchmark)
    return table(
        [
            {f"PSNR (dB), r = {r}": name} | {c: columns[c].get(name) for c in columns}
            for name in sets
        ]
    )
