"""Who a session is, and whose its znodes are."""

from __future__ import annotations

import json

import pytest

from leader_async.errors import NoAuth, NoNode, UsageError
from leader_async.stored import Fields
from leader_async.zookeeper import messages as m
from leader_async.zookeeper.identity import READABLE, Digest, restore

OWN = Digest("app", "geheim")
MINE = m.Access(31, "digest", "app:p7wtBqMg8BMWPqY2oxD7jQtBV4w=")


def test_the_password_is_shown_nowhere() -> None:
    for shown in (OWN, OWN.proof, [OWN.proof]):
        assert "geheim" not in f"{shown!r} {shown}"
    assert OWN.proof.credentials == b"app:geheim"


@pytest.mark.parametrize(
    ("user", "password", "about"),
    [
        ("", "geheim", "the user ''"),
        ("a:b", "geheim", "the user 'a:b'"),
        ("a\n", "geheim", "the user"),
        ("app", "", "the password of user 'app'"),
        ("app", "geheim\n", "the password"),
        ("app", "geheim\u00df", "the password"),
    ],
)
def test_what_servers_would_not_all_understand_alike_is_refused_without_showing_it(
    user: str, password: str, about: str
) -> None:
    with pytest.raises(UsageError, match=about) as error:
        Digest(user, password)
    assert "geheim" not in str(error.value)


def test_what_is_created_is_its_creator_s() -> None:
    plain, own = m.Create("/a", b"x", ephemeral=True), m.Create("/a", b"x", ephemeral=True, access=(MINE,))
    assert OWN.owning(plain) == own
    assert OWN.owning(m.Multi((m.Check("/b"), plain))) == m.Multi((m.Check("/b"), own))
    assert Digest("app", "geheim", readable=True).owning(plain) == m.Create("/a", b"x", True, access=(MINE, READABLE))


@pytest.mark.parametrize(
    "request_",
    [m.Create("/a", access=(READABLE,)), m.Delete("/a"), m.Multi((m.Check("/a"),)), m.GetData("/a")],
    ids=str,
)
def test_all_else_is_left_as_it_is(request_: m.Request) -> None:
    assert OWN.owning(request_) is request_


@pytest.mark.parametrize(
    ("request_", "whose"),
    [(m.Create("/a/b"), "/a"), (m.Delete("/a"), "/"), (m.SetData("/a/b", b"", 0), "/a/b"), (m.GetChildren("/a"), "/a")],
    ids=str,
)
def test_a_denial_says_whose_access_list_it_was_and_what_to_do(request_: m.Request, whose: str) -> None:
    error = m.refusal(NoAuth.code, request_)
    assert isinstance(error, NoAuth)
    assert f"the access list of {whose} does not allow {type(request_).__name__} to this session; give the" in str(
        error
    )


def test_other_refusals_show_what_was_asked_but_not_its_data() -> None:
    assert str(m.refusal(NoNode.code, m.SetData("/a", b"data", 7))) == "NoNode (ZooKeeper error -101): SetData /a"
    assert str(m.refusal(-6, m.Ping())) == "Unimplemented (ZooKeeper error -6): Ping"


def test_its_fields_restore_it_and_what_is_no_identity_is_refused() -> None:
    for one in (OWN, Digest("app", "x" * 2000, readable=True)):
        assert restore(Fields(json.loads(json.dumps(one.fields())))) == one
    for fields, about in (({}, "user"), ({"user": "a:b", "password": "x", "readable": True}, "the user 'a:b'")):
        with pytest.raises(ValueError, match=about):
            restore(Fields(fields))
