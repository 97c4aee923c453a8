"""A sweep's jobs: what each one's folder is called, and whether it is finished."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from yaml import YAMLError

from espcn.runs.directory import CONFIG, read_config
from espcn.runs.identity import digest, flatten, identity, plain_settings


def job_name(*, _root_: DictConfig) -> str:
    """Name a sweep's job: as the job there with the same identity, else by its identity.

    A number would name another job as soon as a value is added to the sweep.

    Args:
        _root_: The configuration of the job, with Hydra's own part.

    Returns:
        The name of its folder within the sweep's directory.
    """
    settings, sweep = plain_settings(_root_), Path(str(_root_.hydra.sweep.dir))
    own = identity(settings)
    name = digest(own)
    if _is_job(sweep / name / CONFIG, own):
        return name
    for path in sorted(sweep.glob(f"*/{CONFIG}")):
        if _is_job(path, own):
            return path.parent.name
    # Where a default has changed since, another job may have this name.
    return digest(settings) if (sweep / name / CONFIG).is_file() else name


def is_finished(result: dict[str, Any] | None, settings: dict[str, Any]) -> bool:
    """Return whether a run has been carried out to its end, with these settings.

    Args:
        result: The content of the run's result.json, None if there is none.
        settings: Plain settings; one that the result lacks, since it was added later, is no
            difference.

    Returns:
        Whether it may be skipped.
    """
    if result is None or result["status"] != "completed":
        return False
    return all(result.get(name, value) == value for name, value in flatten(settings).items())


def _is_job(path: Path, own: dict[str, Any]) -> bool:
    try:
        return path.is_file() and _stored_identity(path.parent, path.stat().st_mtime_ns) == own
    except (OSError, ValueError, YAMLError):  # damaged: gathering the sweep will say so
        return False


@cache
def _stored_identity(directory: Path, modified: int) -> dict[str, Any]:
    return identity(read_config(directory) or {})
