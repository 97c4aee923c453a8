"""Ctrl-C, which a terminal sends to a command and to all that it has started."""

import signal
import subprocess
import sys
import threading

import pytest

from espcn.interrupts import interrupts_held

HELD = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX")
def test_ctrl_c_waits_for_the_end_of_the_block_and_never_reaches_what_began_in_it() -> None:
    printed = []

    def start() -> None:
        child = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True)
        printed.append(child.stdout)

    def interrupted() -> None:
        with interrupts_held():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            start()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    start()
    assert printed == ["True\n", "False\n"]
