"""TLS towards ZooKeeper: which files, how they become a context, and what a failure means.

Rules:
- The server is verified: its certificate's chain and dates always, its name unless `check_hostname` is off.
- Each dial reads the files, so rotated certificates are used without a restart. A file that cannot be read fails that
  dial, and so does a server that cannot be verified. Both are logged and tried again, since both may be put right.
- A private key has no passphrase: nobody is there to type it.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from ..errors import UsageError
from .messages import Cause

_UNTRUSTED = {18, 19, 20, 21}
"""OpenSSL's `X509_V_ERR_…`: self-signed, or signed by an unknown CA."""

_HOSTNAME, _ADDRESS = 62, 64


@dataclass(frozen=True, slots=True)
class TLS:
    """How to encrypt, by files in PEM.

    Attributes:
        ca: certificates of the CAs that may have signed the servers'; None for this machine's usual ones.
        cert: the client's certificate and those between it and its CA, None if the servers want none.
        key: its private key, None if that is in `cert` too.
        check_hostname: the certificate must be for the name that is dialled.

    Raises:
        UsageError: a key without a certificate.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    check_hostname: bool = True

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise UsageError(
                "a TLS key without its certificate: give both (cert= and key=, --zookeeper-cert and --zookeeper-key)"
            )
        for name in ("ca", "cert", "key"):  # absolute: a daemon may go to another folder, and its guardian does
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.path.abspath(path))

    def context(self) -> ssl.SSLContext:
        """The context that the files make now.

        Raises:
            UsageError: one of them cannot be used; the message says which.
        """
        for what, path in (("CA", self.ca), ("certificate", self.cert), ("key", self.key)):
            if path is not None:
                _check_readable(what, path)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError as error:
            raise UsageError(f"the TLS CA file {self.ca!r} has no certificate in PEM that can be read") from error
        context.check_hostname = self.check_hostname
        if self.cert is not None:
            self._load(context, self.cert)
        return context

    def _load(self, context: ssl.SSLContext, cert: str) -> None:
        asked = False

        def passphrase() -> str:
            nonlocal asked
            asked = True
            return ""

        try:
            context.load_cert_chain(cert, self.key, password=passphrase)
        except ssl.SSLError as error:
            where = f"the TLS key {self.key or cert!r}"
            if asked:
                raise UsageError(f"{where} has a passphrase: give one without, readable by this user only") from error
            if error.reason == "KEY_VALUES_MISMATCH":
                raise UsageError(f"{where} does not belong to the certificate {cert!r}") from error
            raise UsageError(f"the TLS certificate {cert!r} or {where} is not there in PEM that can be read") from error


def _check_readable(what: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise UsageError(f"the TLS {what} file {path!r} cannot be read: {error.strerror}") from error


def explain(error: Exception) -> tuple[str, Cause]:
    """Why TLS with a server has failed and what to do, for people; and the cause, for programs."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=text):
            text = f"its certificate cannot be trusted: {text.rstrip('.')}"
            if code in _UNTRUSTED:
                return f"{text}; give the certificate of the CA that has signed it (ca=, --zookeeper-ca)", Cause.TLS
            if code in (_HOSTNAME, _ADDRESS):
                return f"{text}; dial a name that it is for, or give the server another one", Cause.TLS
            return f"{text}; give the server another one", Cause.TLS
        case ssl.SSLError(reason=str(reason)) if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS on this port; give its secureClientPort, or do without tls=", Cause.PROTOCOL
        case ssl.SSLError(reason=str(reason)) if "ALERT" in reason and "CERT" in reason:
            remedy = "give a certificate of ours that it trusts (cert=, --zookeeper-cert)"
            return f"it refuses us ({reason}); {remedy}", Cause.REFUSED
        case ssl.SSLError():
            return f"TLS failed: {error}", Cause.TLS
        case TimeoutError():
            return "it did not answer the TLS handshake in time", Cause.NO_ANSWER
        case _:
            remedy = "is this its secureClientPort, and does it want a certificate of ours (cert=, --zookeeper-cert)?"
            return f"it hung up on the TLS handshake; {remedy}", Cause.END_OF_STREAM
