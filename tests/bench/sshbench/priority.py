"""Who goes first when there is more to do than processors to do it."""
import contextlib
import os
from pathlib import Path


def set_priority(pid, value):
    """Among the processes of its session, and of that among sessions (sched(7), autogroup). 0: our own."""
    os.setpriority(os.PRIO_PROCESS, pid, value)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(value))
