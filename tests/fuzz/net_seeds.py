#!/usr/bin/env python3
"""Seeds for fuzz-net: what the clients of a native test say, packet for packet, each with the answers it needs.

usage: net_seeds.py DIRECTORY TEST NET SESSION BUILD_HEADER   (TEST: net, net_forward, auth)

One file for each connection. Choose from them with -merge=1, as README.md has it.
"""
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1] / "privsep"
sys.path.insert(0, str(TESTS))

import namespace  # noqa: E402

namespace.enter()

import hashlib  # noqa: E402
import importlib  # noqa: E402
import unittest  # noqa: E402

from paramiko.packet import Packetizer  # noqa: E402

OP_PACKET, OP_BYTES, OP_AGENT, OP_YES, OP_NO, OP_ACT, OP_INCOMING, OP_TIME = range(8)
ACCEPTS, WRITES, EXITS = 0, 0, 5
MAX_BYTES, MAX_PACKET = 12000, 4000
FROM_THE_BEGINNING = 0

conversations = {}


def step(op, arg=0, payload=b""):
    return bytes([op, arg]) + len(payload).to_bytes(2, "big") + payload


def what_follows(kind):
    """A monitor that always agrees, and programs that say something and end."""
    if kind == 50:
        return step(OP_AGENT, ACCEPTS) + step(OP_YES) + step(OP_YES)
    if kind in (80, 90):
        return step(OP_YES) + step(OP_INCOMING)
    if kind == 98:
        return step(OP_YES) + step(OP_ACT, WRITES, b"some output")
    if kind == 61:
        return step(OP_YES)
    return step(OP_ACT, EXITS) if kind in (96, 97) else b""


def record(packetizer, message):
    steps = conversations.setdefault(packetizer, bytearray(step(OP_BYTES, 0, b"SSH-2.0-OpenSSH_9.2\r\n")))
    payload = message.asbytes()
    if len(payload) <= MAX_PACKET and len(steps) < MAX_BYTES:
        steps += step(OP_PACKET, 0, payload) + what_follows(payload[0])
    return send_message(packetizer, message)


send_message, Packetizer.send_message = Packetizer.send_message, record


def main():
    directory, name = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1)
    tests = importlib.import_module(f"{name}_native")
    namespace.set_up_gateway()
    for module in (tests, sys.modules.get("net_native", tests)):
        module.BUILD = pathlib.Path(sys.argv[3]).read_text().split('"')[1]
    cases = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in vars(tests).values()
        if isinstance(case, type) and issubclass(case, unittest.TestCase) and case.__module__ == tests.__name__)
    unittest.TextTestRunner(failfast=False).run(cases)
    for steps in conversations.values():
        seed = bytes([FROM_THE_BEGINNING]) + steps
        (directory / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


main()
