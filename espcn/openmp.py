"""How the threads of a command wait for work.

PyTorch's idle threads spin for so long that other programs slow down to a quarter: two trainings at
once, or one next to a busy browser. They are told to sleep sooner.
"""

import os

# Turns of a waiting loop, some 20 microseconds. On two cores the default run took 1.0 times as long
# alone as with libgomp's own choice, and two at once 1.9 times as long as one after the other; with
# 30000 turns 1.04 and 3.2, with 5000 1.08 and 1.4, with 1000 1.35 and 1.1. Two trainings take turns
# in addition (espcn.runs.turns), which makes it 1.1.
SPINS = "12000"


def wait_asleep() -> None:
    """Let idle OpenMP threads of this process sleep soon, unless the environment says otherwise.

    Only commands call this, before they import PyTorch, which reads the setting once.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS
