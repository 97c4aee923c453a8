"""OmegaConf resolvers for the configurations: directories and defaults."""

from typing import Any

from omegaconf import OmegaConf

from espcn.runs.launch import run_directory
from espcn.runs.sweep import job_name, numbered_name


def register_resolvers() -> None:
    """Register the resolvers with OmegaConf."""
    OmegaConf.register_new_resolver("job_name", job_name, replace=True)
    OmegaConf.register_new_resolver("numbered_name", numbered_name, replace=True)
    # Cached: a sweep's jobs ask too, and a second later the name would be another.
    OmegaConf.register_new_resolver("run_directory", run_directory, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("default_precision", default_precision, replace=True)
    OmegaConf.register_new_resolver("if_equal", _if_equal, replace=True)
    OmegaConf.register_new_resolver("first", _first, replace=True)


def default_precision(accelerator: str) -> str:
    """Return the default precision of a training.

    Args:
        accelerator: Lightning's name of the accelerator: auto, cpu, gpu.

    Returns:
        `bf16-mixed` on a CPU that multiplies bfloat16 faster, where nothing is lost; otherwise
        `32-true`, also on a GPU, which is hardly faster in bfloat16 (RESULTS.md).
    """
    import torch  # here, since --help and a misspelt override answer without it

    from espcn.network.device import multiplies_bfloat16

    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    return "bf16-mixed" if on_cpu and multiplies_bfloat16(torch.device("cpu")) else "32-true"


def _first(given: Any, otherwise: Any) -> Any:
    return otherwise if given in (None, "") else given  # not the working directory


def _if_equal(value: Any, expected: Any, then: Any, otherwise: Any) -> Any:
    return then if value == expected else otherwise
