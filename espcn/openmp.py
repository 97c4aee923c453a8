"""How the threads of a command wait for work.

PyTorch's idle threads spin, for as long as it takes other programs to slow down to a quarter: two
trainings at once, or one beside a busy browser. They are told to sleep sooner.
"""

import os

# Turns of a waiting loop, some 30 microseconds: longer than between two operations of a step.
SPINS = "30000"


def wait_asleep() -> None:
    """Let idle OpenMP threads of this process sleep soon, unless its environment says otherwise.

    Only commands call this, and before PyTorch is imported, which reads it once.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS
