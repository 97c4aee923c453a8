"""A finished run in TensorBoard: its settings and figures, and a sample picture."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from espcn.data.image_set import ImageSet
from espcn.evaluation.gallery import side_by_side
from espcn.evaluation.protocol import score_set
from espcn.network.model import ESPCN


def show_run(
    logger: Any,
    settings: dict[str, Any],
    result: dict[str, Any],
    network: ESPCN,
    sets: Iterable[ImageSet],
) -> None:
    """Log hyper-parameters, and the first picture of the first set that has one.

    Args:
        logger: Lightning's TensorBoardLogger.
        settings: The run's settings by dotted name.
        result: Its `psnr` by set and its `val_psnr`, which is omitted if it is None.
        network: The trained network.
        sets: The sets to take the picture from.
    """
    figures = {f"psnr {name}": psnr for name, psnr in result["psnr"].items()}
    figures |= {"val_psnr": result["val_psnr"]}
    known = {name: figure for name, figure in figures.items() if figure is not None}
    # TensorBoard takes no names that are not UTF-8.
    words = {k: str(v).encode(errors="backslashreplace").decode() for k, v in settings.items()}
    logger.log_hyperparams(words, known)
    for images in sets:
        if len(images):
            sample = images.subset([0], images.name)
            for scored, made in score_set(network, sample, in_color=True):
                picture = np.asarray(side_by_side(made, scored))
                logger.experiment.add_image("sample", picture, dataformats="HWC")
            break
    logger.save()
