"""Tables of figures, the paper's beside them: knows numbers, not networks."""

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
    """Lay out rows in aligned columns, gaps for None.

    Figures get `digits` digits after the point, 2 for PSNR and 4 for SSIM; the columns named in
    `settings` as many as they have.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for name in names] for row in rows]
    formats = ["g" if name in settings else f".{digits}f" for name in names]
    style = "github" if markdown else "simple"
    return tabulate(cells, names, tablefmt=style, floatfmt=formats, missingval="")


def score_table(r: int, figures: dict[str, dict[str, float]], benchmark: bool = True) -> str:
    """Lay out a run's PSNR on test sets beside bicubic's and the paper's.

    `figures` maps "bicubic" and the run's own title to a map from test set to dB. The paper's
    stand there only where they compare: on the `benchmark` degradation.
    """
    sets = list(dict.fromkeys(name for column in figures.values() for name in column))
    paper = PAPER.get(r, {}) if benchmark else {}
    columns = figures | {t: column for t, column in paper.items() if column.keys() & set(sets)}
    return table(
        [
            {f"PSNR (dB), r = {r}": name} | {c: columns[c].get(name) for c in columns}
            for name in sets
        ]
    )
