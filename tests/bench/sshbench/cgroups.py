"""A control group for each server: which processes are its own, and what they cost."""
import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def root():
    """Where cgroup v2 is: alone, or beside the old controllers."""
    for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists():
            return path
    return None


def group_name(scratch):
    return Path(scratch).name


class Group:
    """The processes of a server, wherever below its group they are."""

    def __init__(self, scratch, name):
        self.path = root() / group_name(scratch) / name
        self.path.mkdir(parents=True)

    def enter(self):
        """For preexec_fn."""
        (self.path / "cgroup.procs").write_text("0")

    def pids(self):
        found = []
        for directory, _, _ in os.walk(self.path):
            try:
                found += map(int, (Path(directory) / "cgroup.procs").read_text().split())
            except OSError:
                continue  # a login's own group, which just went
        return found


def own_processes(group, programs):
    """Those that run the server's programs: not the shells and commands of its users."""
    def runs_one(pid):
        try:
            return os.path.basename(os.readlink(f"/proc/{pid}/exe")).split(" ")[0] in programs
        except OSError:
            return False

    return [pid for pid in group.pids() if runs_one(pid)]


def cpu_seconds(pids):
    """User and system time of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss_kib(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def remove(scratch):
    """The groups outlive their processes: take them away, from the bottom."""
    base = root() / group_name(scratch) if root() else None
    deadline = time.monotonic() + 5
    while base and base.exists() and time.monotonic() < deadline:
        for directory, _, _ in os.walk(base, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                time.sleep(0.05)  # the last process is just dying
