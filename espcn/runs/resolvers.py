"""What the configurations call by name to find directories, as OmegaConf's resolvers."""

from omegaconf import OmegaConf

from espcn.runs.launch import run_directory
from espcn.runs.sweep import job_name


def register_resolvers() -> None:
    """Register with OmegaConf what the configurations call to name directories."""
    OmegaConf.register_new_resolver("job_name", job_name, replace=True)
    # Cached: a sweep's jobs ask too, and a second later the name would be another.
    OmegaConf.register_new_resolver("run_directory", run_directory, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("first", lambda a, b: b if a is None else a, replace=True)
