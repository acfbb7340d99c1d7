"""A page that only its address opens, from this machine and its own origin."""

import pytest

from espalier.errors import RowError
from tests.reviewing.conftest import TOKEN, asking


class Desk:
    name = "ballot"
    title = "<b>Two & two</b>"

    def state(self):
        return {"n": 1}

    def act(self, asked):
        if asked.get("bad"):
            raise RowError("That cannot be.")
        return {"asked": asked}


@pytest.fixture(scope="module")
def client():
    with asking(Desk()) as client:
        yield client


def test_the_page_runs_its_own_script_alone(client):
    found = client.get("")
    assert "&lt;b&gt;Two &amp; two" in found.text and "<!--" not in found.text.partition("<script>")[0]
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy and "connect-src 'self'" in policy
    assert found.headers["referrer-policy"] == "no-referrer" and found.headers["cache-control"] == "no-store"


def test_what_is_asked_is_done_and_what_cannot_be_is_said(client):
    assert client.get("state").json() == {"n": 1}
    assert client.post("act", json={"x": 1}).json() == {"asked": {"x": 1}}
    refused = client.post("act", json={"bad": 1})
    assert (refused.status_code, refused.json()) == (400, {"problem": "That cannot be."})
    for body in (b"[1]", b"{", b"\xff"):
        assert client.post("act", content=body).status_code == 400


def test_nothing_is_shown_without_the_address(client):
    for token in ("guess", "%00", TOKEN.upper(), TOKEN + "x"):
        root = str(client.base_url).replace(TOKEN, token)
        assert [client.get(root + path).status_code for path in ("", "state")] == [404, 404]
        assert client.post(f"{root}act", json={}).status_code == 404
    assert client.get(str(client.base_url).replace(f"{TOKEN}/", "")).status_code == 404


def test_other_sites_and_other_names_for_this_machine_are_refused(client):
    assert client.post("act", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("", headers={"Host": "evil.example"}).status_code == 403
    assert client.post("act", content=b"x" * (2 << 20)).status_code == 413
