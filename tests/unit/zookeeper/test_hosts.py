from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from leader_async.errors import UsageError
from leader_async.zookeeper.hosts import Ensemble, Server, check_path, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zk", Ensemble((Server("zk", 2181),))),
        ("a:1,b:2", Ensemble((Server("a", 1), Server("b", 2)))),
        (" a:1 , b ", Ensemble((Server("a", 1), Server("b", 2181)))),
        ("a:1,a:1", Ensemble((Server("a", 1),))),
        ("[::1]:2182,[fe80::1]", Ensemble((Server("::1", 2182), Server("fe80::1", 2181)))),
        ("a/", Ensemble((Server("a", 2181),))),
        ("a/app", Ensemble((Server("a", 2181),), "/app")),
        ("a,b/app/deep/", Ensemble((Server("a", 2181), Server("b", 2181)), "/app/deep")),
    ],
)
def test_connect_strings(text: str, expected: Ensemble) -> None:
    assert parse(text) == expected
    assert parse(str(parse(text))) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "an empty host"),
        ("a,,b", "an empty host"),
        ("::1", "goes into brackets"),
        ("a:b", "'a:b'"),
        ("a:0", "'a:0'"),
        ("a:99999", "'a:99999'"),
        ("u@a", "not a host"),
        ("a b", "not a host"),
        ("a?x", "not a host"),
        ("[::1", r"'\[::1'"),
        (":2181", "not a host"),
        ("a//b", "not a znode's path"),
        ("a/../b", "not a znode's path"),
        ("a/b\n/c", "character"),
        ("a:1/app,b:1/app", "the chroot stands once"),
        ("a:1/app,b:1", "the chroot stands once"),
        ("http://a:2181", "is a URL"),
        ("a;b", "separated by commas"),
        ("a:1;b:1/app", "separated by commas"),
    ],
)
def test_unusable_connect_strings_say_which_part(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("servers", "text"),
    [(["a:1", "b"], "a:1,b"), (("a", "b/app"), "a,b/app"), (["[::1]:1"], "[::1]:1"), (["a,b", "c"], "a,b,c")],
)
def test_a_list_of_hosts_is_as_good(servers: Sequence[str], text: str) -> None:
    assert parse(servers) == parse(text)


@pytest.mark.parametrize("servers", [None, 2181, ["a", 2181], {"a"}, b"a:2181", []])
def test_what_is_no_address_is_refused(servers: Any) -> None:
    with pytest.raises(UsageError, match="write host:2181"):
        parse(servers)


@pytest.mark.parametrize("path", ["", "a", "/", "/a/", "/a//b", "/a/./b", "/a/\x00"])
def test_unusable_paths(path: str) -> None:
    with pytest.raises(UsageError):
        check_path(path)


def test_a_usable_path() -> None:
    assert check_path("/a/b-c") == "/a/b-c"
