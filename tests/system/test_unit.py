"""Unit tests that need root and a kernel of one's own, with WireGuard: tests/run.sh has built them."""
import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
BUILT = SOURCE / "build/gcc/tests/unit"


@pytest.mark.limit(600)
@pytest.mark.parametrize("name", ["audit", "kernel", "kill-points", "nft-packets"])
def test_unit(name, tmp_path):
    # 500 kill points are for faster machines (meson test); here WireGuard is real.
    env = {**os.environ, "TEST_DATA": str(SOURCE / "tests/unit/data"), "KILL_POINTS": "25", "AUDIT_KERNEL": "yes"}
    result = subprocess.run([BUILT / f"test-{name}"], cwd=tmp_path, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(result.stdout)
    assert result.returncode == 0
    # Nothing of what it is for was left out.
    assert name != "audit" or "test_kernel_takes_it" in result.stdout
    assert name != "kernel" or "test_everything" in result.stdout
    assert name != "kill-points" or "WireGuard real" in result.stdout
