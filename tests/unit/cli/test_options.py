"""Secrets and files, as flags and variables name them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from leader_async.cli import options
from leader_async.cli.main import cli
from leader_async.errors import UsageError
from leader_async.zookeeper.identity import Digest

SECRET = "app:geheim:4711"


def test_credentials_from_a_file_or_a_variable_which_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "auth"
    file.write_text("two:from-a-file\n")
    assert options.digest(None, readable=False) is None
    for path, expected in ((None, Digest("app", "geheim:4711", True)), (str(file), Digest("two", "from-a-file", True))):
        monkeypatch.setenv(options.AUTH, SECRET)
        assert options.digest(path, readable=True) == expected
        assert options.AUTH not in os.environ


def test_a_token_that_was_read_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(options.TOKEN, "token-4711")
    assert options.bearer_token(None) == "token-4711"
    assert options.TOKEN not in os.environ


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"geheim", "does not hold USER:PASSWORD"), (b":geheim", "the user ''"), (b"app:", "the password of user 'app'"),
     (b"\xff", "not text"), (b" \n", "is empty: put USER:PASSWORD into it"), (b"a\n:geheim", "the user")],
)  # fmt: skip
def test_credentials_that_cannot_be_used_are_not_shown(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "auth"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=complaint) as error:
        options.digest(str(file), readable=False)
    assert "geheim" not in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--zookeeper-auth-file", "/nowhere/auth"), "'/nowhere/auth' cannot be read: No such file"),
        (("--zookeeper-readable",), "--zookeeper-readable goes with --zookeeper-auth-file"),
        (("--zookeeper-ca", "/nowhere/ca"), "the TLS CA file '/nowhere/ca' cannot be read"),
        (("--zookeeper-key", "/nowhere/key"), "a TLS key without its certificate"),
    ],
)
@pytest.mark.parametrize(
    "command", ["serve", "run", "status", "candidates", "watch", "history", "why", "doctor", "jobs"]
)
def test_every_command_that_goes_to_zookeeper_has_these_flags(
    command: str, flags: tuple[str, ...], complaint: str
) -> None:
    more = ("--election", "a", "--", "true") if command == "run" else ()
    result = CliRunner().invoke(cli, [command, *flags, *more])
    assert result.exit_code == 2
    assert complaint in result.output


def test_flags_of_tls_imply_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--zookeeper-tls", "--zookeeper", "127.0.0.1:1", "--url", "http://a"])
    assert "doctor looks at ZooKeeper itself" in result.output, "this machine's own CAs do"
