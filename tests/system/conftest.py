"""Fixtures of the system tests; they run inside the machine of tests/vm/run."""
import os
import signal

import hosts as machine
import mesh as peergate
import pytest
from parts import files_of_part

TEST_LIMIT = 180  # seconds; another one: @pytest.mark.limit(SECONDS)


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): the longest the test may take")


def pytest_collection_modifyitems(config, items):
    """The machine first: what tests it reboots hosts and has a network of its own."""
    items.sort(key=lambda item: "mesh_once" in item.fixturenames)
    if os.environ.get("PEERGATE_PART"):  # of several machines, for tests/run.sh
        mine = files_of_part(items, os.environ["PEERGATE_PART"])
        config.hook.pytest_deselected(items=[item for item in items if item.path.name not in mine])
        items[:] = [item for item in items if item.path.name in mine]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails by itself: the machine's own limit would take all others along."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else TEST_LIMIT

    def expired(*_):
        raise machine.TimedOut(f"the test took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def hosts():
    """The four hosts of core_hosts(), booted once: hosts.server, .laptop, .phone, .lanhost, .all, .lan."""
    with machine.core_hosts() as core:
        yield core


@pytest.fixture(scope="session")
def mesh_once(hosts):
    return peergate.Mesh(hosts).start()


@pytest.fixture
def mesh(mesh_once):
    """The mesh of mesh.Mesh, with its own policy in force at the start of each test.

    It is put back at the end, so that a test which leaves a host in ruins is the one that fails.
    """
    if mesh_once.changed:
        mesh_once.reset()
    yield mesh_once
    if mesh_once.changed:
        mesh_once.reset()
