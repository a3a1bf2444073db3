"""TLS for the status service: what is refused, and certificates that are replaced under it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from leader_async import UsageError
from leader_async.cli.certificate import certificate
from leader_async.cli.config import Config
from leader_async.cli.serve import Replica, bind

from ...support.certificates import Authority
from .test_main import run, serving

PATH = "/api/LeaderElection/is-leader"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def test_what_is_answered_over_tls_and_to_whom(authority: Authority, tmp_path: Path) -> None:
    ours, theirs = authority.issue("server", "127.0.0.1"), authority.issue("client", "me")
    used = certificate(str(ours.both), None, str(authority.ca))
    sock = bind("127.0.0.1", 0)
    replica = Replica(Config(zookeeper="127.0.0.1:1", identity="me", certificate=used))
    await replica.listen([sock])
    replica.run()
    url = f"https://127.0.0.1:{sock.getsockname()[1]}{PATH}"
    knows = ssl.create_default_context(cafile=authority.ca)
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            await client.get(url, ssl=knows)
        with pytest.raises(aiohttp.ClientError):
            await client.get(url.replace("https", "http"))
        knows.load_cert_chain(theirs.both)
        async with client.get(url, ssl=knows) as answer:
            assert (answer.status, await answer.text()) == (200, "me - False")
            assert answer.headers["Strict-Transport-Security"] == "max-age=86400"
    await replica.stop()
    assert used is not None
    assert used.context().minimum_version is ssl.TLSVersion.TLSv1_2


def shown(port: int, ca: Path) -> bytes:
    """The certificate that a replica shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port), ca_certs=str(ca), timeout=10)
    return ssl.PEM_cert_to_DER_cert(pem)


@pytest.mark.timeout(60)
def test_a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not(authority: Authority) -> None:
    files = authority.issue("rotated", "127.0.0.1")
    with serving("--tls-cert", str(files.cert), "--tls-key", str(files.key)) as (process, port):
        curl = ["curl", "-fsS", "--cacert", str(authority.ca), f"https://127.0.0.1:{port}{PATH}"]
        assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout == "me - False"
        first, old_key = shown(port, authority.ca), files.key.read_bytes()
        authority.issue("rotated", "127.0.0.1")
        new_key = files.key.read_bytes()
        second = shown(port, authority.ca)
        assert second != first
        files.key.write_bytes(old_key)
        assert shown(port, authority.ca) == second, "the old one stays in use"
        files.key.write_bytes(new_key)
        assert shown(port, authority.ca) == second
        process.terminate()
        assert process.stderr is not None
        told = process.stderr.read()
        assert told.count("the certificate was changed, and is in use") == 2
        assert told.count("the key is another certificate's") == 1


@pytest.mark.parametrize(
    ("cert", "key", "ca", "complaint"),
    [
        ("/nowhere.pem", None, None, r"--tls-cert '/nowhere.pem' cannot be read: No such file"),
        ("cert", None, None, r"--tls-cert '.*' cannot be used; give a PEM file with the key in it, or --tls-key"),
        ("cert", "/nowhere.pem", None, r"--tls-key '/nowhere.pem' cannot be read: No such file"),
        ("cert", "other", None, r"--tls-cert '.*' and --tls-key '.*' do not belong together"),
        ("cert", "locked", None, r"the key of --tls-cert is encrypted"),
        ("cert", "key", "key", r"--tls-client-ca '.*' holds no certificate"),
        ("cert", "key", "/", r"--tls-client-ca '/' cannot be read: Is a directory"),
        (None, "key", None, r"--tls-key needs --tls-cert"),
        (None, None, "cert", r"--tls-client-ca needs --tls-cert"),
    ],
)
def test_files_that_cannot_be_used(
    authority: Authority, tmp_path: Path, cert: str | None, key: str | None, ca: str | None, complaint: str
) -> None:
    files = authority.issue("refused", "127.0.0.1")
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(files.key), "-out", str(locked), "-passout", "pass:x"]
    subprocess.run(command, check=True, capture_output=True)
    known = {"cert": files.cert, "key": files.key, "other": authority.issue("other", "x").key, "locked": locked}
    with pytest.raises(UsageError, match=complaint):
        certificate(*(each and str(known.get(each, each)) for each in (cert, key, ca)))


def test_no_certificate_is_no_tls() -> None:
    assert certificate(None, None, None) is None


def test_a_certificate_that_cannot_be_used_ends_with_2() -> None:
    result = run("serve", "--tls-cert", "/nowhere.pem")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "--tls-cert '/nowhere.pem' cannot be read" in result.stderr
