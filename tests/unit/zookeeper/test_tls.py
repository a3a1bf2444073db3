"""What becomes of TLS files, and what is said of failures."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s

from leader_async import TLS, UsageError, connect
from leader_async.zookeeper.messages import Cause
from leader_async.zookeeper.tls import explain

from ...support.certificates import Authority, Files


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Files:
    return authority.issue("own", "me")


def test_servers_are_verified(authority: Authority, own: Files) -> None:
    context = TLS(str(authority.ca), str(own.cert), str(own.key)).context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert len(TLS(cert=str(own.both)).context().get_ca_certs()) != 1, "this machine's own"
    context = TLS(str(authority.ca), check_hostname=False).context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)


def test_paths_outlast_a_change_of_folder(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(authority.ca.parent)
    tls = TLS("ca.pem")
    monkeypatch.chdir(os.sep)
    assert tls.ca == str(authority.ca)
    tls.context()


def test_files_that_cannot_be_used_are_named(authority: Authority, own: Files, tmp_path: Path) -> None:
    other, locked = authority.issue("other", "me"), tmp_path / "locked.pem"
    key = s.load_pem_private_key(own.key.read_bytes(), None)
    hidden = s.BestAvailableEncryption(b"geheim")
    locked.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, hidden))
    for tls, complaint in (
        (TLS("/nowhere/ca"), "CA file '/nowhere/ca' cannot be read: No such file"),
        (TLS(cert="/nowhere/cert"), "certificate file '/nowhere/cert' cannot be read"),
        (TLS(cert=str(own.cert), key="/nowhere/key"), "key file '/nowhere/key' cannot be read"),
        (TLS(str(own.key)), "has no certificate in PEM"),
        (TLS(cert=str(own.cert)), "is not there in PEM"),
        (TLS(cert=str(own.cert), key=str(other.key)), "does not belong to the certificate"),
        (TLS(cert=str(own.cert), key=str(locked)), "has a passphrase: give one without"),
    ):
        with pytest.raises(UsageError, match=complaint):
            tls.context()
    with pytest.raises(UsageError, match="a TLS key without its certificate"):
        TLS(key=str(own.key))


def test_connect_refuses_what_it_cannot_use() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        connect("a", tls=TLS("/nowhere/ca"))
    with pytest.raises(UsageError, match="tls= is a leader_async"):
        connect("a", tls=True)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="auth= is a leader_async") as error:
        connect("a", auth=("app", "geheim"))  # type: ignore[arg-type]
    assert "geheim" not in str(error.value)
    with pytest.raises(UsageError, match="a guardian is another process"):
        connect("a", tls=ssl.create_default_context(), guardian=True)


@pytest.mark.parametrize(
    ("error", "what", "cause"),
    [
        (ConnectionResetError(), "it hung up on the TLS handshake", Cause.END_OF_STREAM),
        (TimeoutError(), "it did not answer the TLS handshake in time", Cause.NO_ANSWER),
        (ssl.SSLError(1, "[SSL] wrong version number"), "TLS failed", Cause.TLS),
    ],
)
def test_failures_in_words(error: Exception, what: str, cause: Cause) -> None:
    text, found = explain(error)
    assert text.startswith(what)
    assert found is cause


def test_a_failure_by_its_reason() -> None:
    for reason, what, cause in (
        ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port", Cause.PROTOCOL),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "it refuses us (TLSV13_ALERT_CERTIFICATE_REQUIRED)", Cause.REFUSED),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TLS failed: ", Cause.TLS),
    ):
        error = ssl.SSLError(1, "text")
        error.reason = reason
        text, found = explain(error)
        assert text.startswith(what)
        assert found is cause
