"""What `make up` and its sisters are told by the environment.

    PORT           where the cluster is reached                                5001
    CLUSTER        local or docker                                             docker, if an engine answers
    ZOOKEEPER      host:port of a ZooKeeper that runs already, or embedded     one is started
    NGINX          a path, or none to do without                               the one on PATH
    CLUSTER_STATE  the folder of what is running, its logs and data            build/cluster

Rule: everything that can go wrong for a reason that a person can mend is a `ClusterError`, and its text says how.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

MODES = ("local", "docker")
HOST = "127.0.0.1"
REPLICAS = 5


class ClusterError(Exception):
    """What was asked for cannot be had; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, checked.

    Attributes:
        port: where the cluster is reached.
        port_given: whether somebody chose that port.
        mode: "local" or "docker", None to find out.
        zookeeper: the connect string of a ZooKeeper that runs already, "embedded" for the one in memory, "" to start
            one, a real one if that is possible.
        state: the folder for what is running, its logs and data.
    """

    port: int
    port_given: bool
    mode: str | None
    zookeeper: str
    state: Path

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make.

        Raises:
            ClusterError: one of them cannot be used.
        """
        port = environment.get("PORT", "").strip() or "5001"
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise ClusterError(f"PORT={port} is no port; give 1 to 65535")
        mode = environment.get("CLUSTER", "").strip() or None
        if mode is not None and mode not in MODES:
            raise ClusterError(f"CLUSTER={mode} is neither {' nor '.join(MODES)}")
        return cls(
            port=int(port),
            port_given=bool(environment.get("PORT", "").strip()),
            mode=mode,
            zookeeper=environment.get("ZOOKEEPER", "").strip(),
            state=Path(environment.get("CLUSTER_STATE", "").strip() or ROOT / "build" / "cluster").absolute(),
        )


def say(text: str = "") -> None:
    """Tell the person at the terminal, at once even if that is a pipe; nobody need listen."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
