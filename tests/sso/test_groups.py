"""Groups of a provider in the policy: what it says when somebody signs in is what they may from then on."""
import json

import pytest
from browser import browser
from programs import Agent, wait_for
from test_oidc import sign_in

POLICY = """{
  "acls": [{ "action": "accept", "src": ["group:engineering"], "dst": ["tag:prod:22"] }],
  "tagOwners": { "tag:prod": [] },
  "ssh": [{ "action": "accept", "src": ["group:engineering"], "dst": ["tag:prod"], "users": ["root"] }],
}"""
TEAM = "Engineering Team"
ALICE = "alice@example.com"


def map_groups(coordinator, idp, **more):
    coordinator.stop()
    coordinator.add_provider("corp", idp.issuer, Title="Example Corp", Scopes="openid email profile groups",
                             GroupsClaim="groups", **more)
    coordinator.start()


@pytest.fixture(scope="module")
def mapped(coordinator, idp):
    """A group of "corp" is one of the policy."""
    map_groups(coordinator, idp, Group=f"group:engineering {TEAM}")
    coordinator.ctl("policy", "set", "-", input=POLICY)
    yield coordinator
    idp.tell()


@pytest.fixture(scope="module")
def laptop(mapped, tmp_path_factory):
    """The agent of a host of alice's; there is a server besides."""
    agents = {}
    for name, whose in (("server", ("--tag", "tag:prod")), ("laptop", ("--user", ALICE))):
        agents[name] = Agent(tmp_path_factory.mktemp(name) / "agent", mapped).start()
        key = mapped.ask("authkeys", "create", *whose)["key"]
        said = agents[name].run("up", "--coordinator", mapped.url, "--auth-key", key, "--hostname", name)
        assert said.returncode == 0, said.stderr
    yield agents["laptop"]
    for agent in agents.values():
        agent.stop()


def comes(coordinator, idp, *groups):
    """Alice, whom the provider says to be in these groups, signs in with a browser that nobody has used."""
    idp.tell(groups=groups)
    with browser() as person:
        sign_in(person, coordinator, idp)


def rules(coordinator):
    """What the server's map lets in, and as whom: (of packets, of logins)."""
    said = json.loads(coordinator.ctl("debug", "map", "server"))
    return len(said["packet_filter"]), len(said["ssh_rules"])


def sees_server(agent):
    return agent.status()["peers"] == 1


def test_group_gives_a_right(mapped, idp, laptop):
    comes(mapped, idp, "everyone")
    assert rules(mapped) == (0, 0) and not sees_server(laptop)
    comes(mapped, idp, "everyone", TEAM)
    assert rules(mapped) == (1, 1)
    wait_for(lambda: sees_server(laptop), 10, "the agent hears of it")
    assert mapped.ask("users", "show", ALICE)["groups"] == ["group:engineering"]
    assert mapped.ask("policy", "explain", "laptop", "root@server")["answer"] == "yes"


def test_next_sign_in_takes_it_away(mapped, idp, laptop):
    comes(mapped, idp, TEAM)
    wait_for(lambda: sees_server(laptop), 10, "the agent hears of it")
    comes(mapped, idp, TEAM.lower(), "everyone")
    assert rules(mapped) == (0, 0)
    wait_for(lambda: not sees_server(laptop), 10, "the agent hears of it")
    assert mapped.events("user.groups")[-1]["object"] == ALICE


def test_other_configuration(mapped, idp, laptop):
    """What the provider said last is read anew, without a sign-in; a policy whose group is not mapped any more stays."""
    comes(mapped, idp, TEAM, "ops")
    map_groups(mapped, idp, Group="group:engineering nobody is in this one")
    assert rules(mapped) == (0, 0)
    map_groups(mapped, idp)
    assert rules(mapped) == (0, 0) and "uses group:engineering, which it does not define" in mapped.log
    assert "is not defined" in mapped.run("policy", "check", "-", input=POLICY).stdout
    map_groups(mapped, idp, Group="group:engineering ops")
    assert rules(mapped) == (1, 1)
    wait_for(lambda: sees_server(laptop), 60, "the agent has connected again")


def test_unbound(mapped, idp, laptop, person):
    """Alice leaves the group with the account by which she was known, and is signed out; she may come back with it."""
    map_groups(mapped, idp, Group=f"group:engineering {TEAM}")
    idp.tell(groups=[TEAM])
    sign_in(person, mapped, idp)
    assert rules(mapped) == (1, 1)
    mapped.ctl("users", "unbind", ALICE)
    assert rules(mapped) == (0, 0)
    person.open(mapped.url)
    assert "Your devices" not in person.text
    person.press("Continue with Example Corp")
    person.wait(lambda _: person.url == f"{mapped.url}/", "signed in")
    assert rules(mapped) == (1, 1)


def test_pages_say_so(mapped, idp, laptop, person):
    """Admins see what is mapped, and who is in what."""
    mapped.ctl("users", "set", ALICE, "--role", "admin")
    idp.tell(groups=[TEAM])
    sign_in(person, mapped, idp)
    person.open(f"{mapped.url}/admin/policy")
    assert TEAM in person.text and "group:engineering" in person.text
    person.look("admin-policy-groups")
    person.open(f"{mapped.url}/admin/nodes/{mapped.ask('nodes', 'show', 'laptop')['id']}")
    assert "Group, by their provider" in person.text and "group:engineering" in person.text
    person.look("admin-node-groups")
