"""The jobs of a sweep: the name of each job's folder, and whether it is finished."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from espcn.runs.directory import CONFIG, read_config
from espcn.runs.identity import (
    DEFAULT_PRECISIONS,
    PLACES,
    digest,
    flatten,
    identity,
    plain_settings,
)

LONGEST = 120  # characters of a name


def job_name(*, _root_: DictConfig) -> str:
    """Name a sweep's job: like an existing job with the same identity, or by the swept settings.

    A number would refer to another job as soon as a value is added to the sweep. The names need no
    quotes in a shell, nor in `ckpt=` and `resume=`.

    Args:
        _root_: The configuration of the job, with Hydra's part.

    Returns:
        The name of its folder within the sweep's directory, such as `blur-0.5_lr-0.01_3fa9c1`.
    """
    settings, sweep = plain_settings(_root_), Path(str(_root_.hydra.sweep.dir))
    own = identity(settings)
    # Begun on another machine, it may have another default precision.
    elsewhere = [{"trainer": {"precision": one}} for one in DEFAULT_PRECISIONS]
    same = [own, *(identity(plain_settings(_root_, one)) for one in elsewhere)]
    named = _swept_words(_root_, sweep)
    name = "_".join([*named, digest(own)[:6]])[-LONGEST:].lstrip("_-.")
    if _is_job(sweep / name / CONFIG, same):
        return name
    for path in sorted(sweep.glob(f"*/{CONFIG}")):
        if _is_job(path, same):
            return path.parent.name
    # Where a default has changed since, another job may have this name.
    return digest(settings) if (sweep / name / CONFIG).is_file() else name


def numbered_name(*, _root_: DictConfig) -> str:
    """Name a job of several evaluations: by its number and the settings in which they differ.

    Args:
        _root_: The configuration of the job, with Hydra's part.

    Returns:
        The name of its folder, such as `0_r-2`.
    """
    words = _swept_words(_root_, Path(str(_root_.hydra.sweep.dir)))
    return "_".join([str(OmegaConf.select(_root_, "hydra.job.num")), *words])[:LONGEST]


def is_finished(result: dict[str, Any] | None, settings: dict[str, Any]) -> bool:
    """Return whether a run with these settings has been completed.

    Args:
        result: The content of the run's result.json; None if there is none.
        settings: Plain settings; those that the result lacks, because they were added later, are
            ignored, as are PLACES.

    Returns:
        Whether it may be skipped.
    """
    if result is None or result["status"] != "completed":
        return False
    return all(
        result.get(name, value) == value
        for name, value in flatten(settings).items()
        if name not in PLACES
    )


def _swept_words(config: DictConfig, sweep: Path) -> list[str]:
    given = OmegaConf.select(config, "hydra.overrides.task") or []
    return [_word(one) for one in given if _key(one) in _swept(sweep)]


def _swept(sweep: Path) -> set[str]:
    """Return the names of the settings with several values in a sweep."""
    path = sweep / "multirun.yaml"  # which Hydra writes before the first job
    return _swept_in(path, path.stat().st_mtime_ns) if path.is_file() else set()


@cache
def _swept_in(path: Path, modified: int) -> set[str]:
    hydra = OmegaConf.load(path).hydra
    params = hydra.sweeper.get("params") or {}
    given = [*hydra.overrides.task, *(f"{name}={value}" for name, value in params.items())]
    parsed = OverridesParser.create().parse_overrides(given)
    return {_key(one.input_line or "") for one in parsed if one.is_sweep_override()}


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _word(override: str) -> str:
    """Return a part of a name: `data.patch=[1,2]` becomes `patch-1-2`."""
    value = re.sub(r"[^\w.+-]+", "-", override.partition("=")[2]).strip("-")
    return f"{_key(override).rpartition('.')[2]}-{value}"


def _is_job(path: Path, same: list[dict[str, Any]]) -> bool:
    """Return whether a configuration with one of these identities is stored there."""
    try:
        return path.is_file() and _stored_identity(path.parent, path.stat().st_mtime_ns) in same
    except (OSError, ValueError):  # damaged: gathering the sweep will say so
        return False


@cache
def _stored_identity(directory: Path, modified: int) -> dict[str, Any]:
    return identity(read_config(directory) or {})
