"""How fast what is promised to be fast must be for a test. What it took is printed."""
from pathlib import Path

# Its processors are ten times slower and more, and wait for whatever else the machine does: a limit there only says
# that nothing waits for a timer.
EMULATED = "TCG" in Path("/proc/cpuinfo").read_text()
# Seconds, from a change of a map or policy to the last process gone.
WITHIN = 3.0 if EMULATED else 1.0
