"""A PostgreSQL server of Debian's package `postgresql`, in a temporary folder and on a unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

OPTIONS = "-c listen_addresses= -c fsync=off -c track_commit_timestamp=on -c deadlock_timeout=100ms"


def programs() -> Path | None:
    """Where initdb and pg_ctl are, None if there is no PostgreSQL server on this machine."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        found = shutil.which("pg_ctl")
        newest = Path(found) if found else None
    return newest.parent if newest is not None else None


class Postgres:
    """One server, for use as `with Postgres() as postgres`."""

    def __init__(self) -> None:
        # A path that is short enough for a unix socket, and that the server's own user may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root

    @property
    def dsn(self) -> str:
        """Where it is reached, for libpq and asyncpg alike."""
        return f"postgresql://test@/postgres?host={self.folder}"

    def __enter__(self) -> Postgres:
        try:
            if self._user is not None:
                shutil.chown(self.folder, self._user)
            self._run("initdb", "--no-sync", "--auth=trust", "--username=test", "-E", "UTF8")
            options = f"{OPTIONS} -k {self.folder}"
            self._run("pg_ctl", "-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        folder = programs()
        assert folder is not None
        command = [str(folder / program), "-D", str(self.folder / "data"), *arguments]
        # Not a pipe: the server would keep it open.
        with (self.folder / "output").open("w+") as output:
            done = subprocess.run(
                command, user=self._user, cwd=self.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                check=False, timeout=90,
            )  # fmt: skip
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read()}"
