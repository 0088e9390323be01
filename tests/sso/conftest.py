"""Fixtures of the browser tests: tests/sso/README.md."""
import os
from pathlib import Path

import pytest
from browser import browser
from idp import provider
from programs import Agent, Coordinator, free_port

IDP = Path(os.environ.get("PEERGATE_IDP", "build/idp"))


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory):
    """One that runs, with alice@example.com, who has no password yet."""
    coordinator = Coordinator(tmp_path_factory.mktemp("coordinator"))
    coordinator.start()
    coordinator.ctl("users", "add", "alice@example.com")
    yield coordinator
    coordinator.stop()


@pytest.fixture(scope="module")
def idp(coordinator):
    """A provider that the coordinator knows as "corp" (RS256) and as "other" (ES256)."""
    with provider(free_port(), *(f"{coordinator.url}/oidc/callback/{name}" for name in ("corp", "other")), where=IDP) as idp:
        more = {"Scopes": "openid email profile groups", "GroupsClaim": "groups"}
        coordinator.stop()
        coordinator.add_provider("corp", idp.issuer, Title="Example Corp", CreateUsers="yes", **more)
        coordinator.add_provider("other", idp.issuer, client="peergate-es", Title="Other", SigningAlgorithm="ES256", **more)
        coordinator.start()
        yield idp


@pytest.fixture(scope="session")
def only_browser():
    with browser() as person:
        yield person


@pytest.fixture
def person(only_browser):
    """Somebody who has been nowhere yet."""
    only_browser.forget()
    return only_browser


@pytest.fixture
def agent(coordinator, tmp_path):
    agent = Agent(tmp_path / "agent", coordinator)
    agent.start()
    yield agent
    agent.stop()
