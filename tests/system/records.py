"""What the journal tells of a connection of the gateway: peergate-sshgw(8)."""


def story(host, connection):
    return host.journal(unit="peergate-sshgw", CONNECTION=connection)


def whole_story(host, since, **match):
    """All records of the connection that has one like that, once it is over; PAM's lines, which are none, may be last."""
    name = host.wait_journal(unit="peergate-sshgw", since=since, **match)["CONNECTION"]
    host.wait_journal(CONNECTION=name, EVENT="connection-ended")
    return [r for r in story(host, name) if "EVENT" in r]


def events(records):
    return [r["EVENT"] for r in records]


def of(event, records, **fields):
    """Those of that kind, one at least, all of which have to have these fields."""
    found = [r for r in records if r["EVENT"] == event]
    assert found, f"no {event} in {events(records)}"
    for record in found:
        assert {name: record.get(name) for name in fields} == fields, record
    return found


def check_who(records, node, rule="ssh[0] line 31", account="alice"):
    """All of them say whose the connection is, by which rule and lease; no user's process can say that of itself."""
    expected = {"USER": node.user, "NODE": node.name, "SSH_USER": account, "LOCAL_USER": account, "RULE": rule, "_UID": "0"}
    for record in records:
        assert {name: record.get(name) for name in expected} == expected, record
        assert record["PEER"] in node.addresses
    assert len({r["LEASE"] for r in records}) == 1
