"""Certificates that are made for one test: a CA, servers' and clients' ones, expired ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization as s


@dataclass(frozen=True)
class Files:
    """Where one certificate is: with its chain, its key, and both in one as a Java server wants them."""

    cert: Path
    key: Path
    both: Path


class Authority:
    """A CA in a folder; `ca` is its certificate.

    Args:
        folder: where its files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._ca = folder, trustme.CA()
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, label: str, *names: str, expired: bool = False) -> Files:
        """A certificate for these names or addresses; one of the same label is written over, as a rotation does."""
        ends = datetime.now(UTC) - timedelta(days=1) if expired else None
        made = self._ca.issue_cert(*names, not_after=ends, not_before=ends and ends - timedelta(days=9))
        files = Files(*(self._folder / f"{label}-{part}.pem" for part in ("cert", "key", "both")))
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        loaded = s.load_pem_private_key(made.private_key_pem.bytes(), None)
        key = loaded.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
        files.cert.write_bytes(chain)
        files.key.write_bytes(key)
        files.both.write_bytes(key + chain)
        return files
