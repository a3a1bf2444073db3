"""The certificate of the status service, in files that may be replaced while it runs.

Rules: the files are looked at for each new connection. Changed ones that cannot be used (a key that does not fit
yet) are logged once, and the old certificate stays in use. TLS 1.2 or newer. A passphrase is not asked for.

It does not promise that connections that are open get the new one.
"""

from __future__ import annotations

import logging
import os
import ssl

from ..errors import UsageError

log = logging.getLogger("leader_async.serve")

Seen = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """A certificate, its key, and whose clients are let in.

    Args:
        cert: the file of the certificate and those above it, PEM.
        key: the file of its key, PEM; None if it is in `cert` too.
        client_ca: the file of those who may have signed the clients' certificates, PEM; None to ask for none.

    Raises:
        UsageError: a file cannot be read, or they do not fit; the message names the flag and says what to do.
    """

    def __init__(self, cert: str, key: str | None = None, client_ca: str | None = None) -> None:
        self._files = {"--tls-cert": cert, "--tls-key": key, "--tls-client-ca": client_ca}
        self._seen = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """What the next connection is encrypted with."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._load()
            except UsageError as error:
                text = "the certificate was changed, but the old one stays in use: %s"
                log.error(text, error, extra={"event": "certificate_not_read"})
            else:
                log.info("the certificate was changed, and is in use", extra={"event": "certificate_changed"})
        return self._context

    def _look(self) -> Seen:
        return tuple(_mark(file) for file in self._files.values() if file is not None)

    def _load(self) -> ssl.SSLContext:
        for flag, file in self._files.items():
            if file is not None:
                _check(flag, file)
        cert, key, client_ca = self._files.values()
        assert cert is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(cert, key, password=_no_passphrase)
        except ssl.SSLError as error:
            where = f"--tls-cert {cert!r} and --tls-key {key!r}" if key else f"--tls-cert {cert!r}"
            if error.reason == "KEY_VALUES_MISMATCH":
                raise UsageError(f"{where} do not belong together: the key is another certificate's") from error
            hint = "give PEM files" if key else "give a PEM file with the key in it, or --tls-key"
            raise UsageError(f"{where} cannot be used; {hint}") from error
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(client_ca)
            except ssl.SSLError as error:
                raise UsageError(f"--tls-client-ca {client_ca!r} holds no certificate; give a PEM file") from error
        return context


def certificate(cert: str | None, key: str | None, client_ca: str | None) -> Certificate | None:
    """What these flags ask for; None if none of them is given.

    Raises:
        UsageError: see `Certificate`; or `--tls-cert` is missing.
    """
    if cert is not None:
        return Certificate(cert, key, client_ca)
    if key is None and client_ca is None:
        return None
    flag = "--tls-client-ca" if key is None else "--tls-key"
    raise UsageError(f"{flag} needs --tls-cert: there is no TLS without it")


def _mark(file: str) -> tuple[int, int, int] | None:
    """What changes when the file does."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check(flag: str, file: str) -> None:
    """Have a file that cannot be read raise its own error, not that of one that makes no sense."""
    try:
        with open(file, "rb") as stream:
            stream.read(1)
    except OSError as error:
        raise UsageError(f"{flag} {file!r} cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    raise UsageError("the key of --tls-cert is encrypted, and nobody is there to give the passphrase; decrypt it")
