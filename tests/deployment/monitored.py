"""Three replicas and a Prometheus on the very deploy/prometheus/prometheus.yml, in namespaces of their own.

Run by `unshare --net --mount --pid --fork --kill-child`: the name `leader-election` resolves there as it does in a
compose project, by a name server of ours, and all that is started ends with this process. What Prometheus says goes to
stdout, as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from leader_async.testing import ZooKeeper

ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
NAME = b"\x0fleader-election\x00"
API = "http://127.0.0.1:9090/api/v1/"


def main(prometheus: str, config: str, folder: str, limit: str, expressions: str) -> None:
    """Start it all, and tell once every replica was asked and all rules are evaluated."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resolver = Path(folder, "resolv.conf")
    resolver.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    threading.Thread(target=answer_names, args=(names,), daemon=True).start()
    with ZooKeeper() as zookeeper:
        for number, address in enumerate(ADDRESSES):
            subprocess.Popen(
                [sys.executable, "-m", "leader_async", "serve", "--zookeeper", zookeeper.address, "--host", address,
                 "--port", "8080", "--identity", f"replica-{number}", "--session-timeout", "1", "--lease", "1"],
            )  # fmt: skip
        subprocess.Popen(
            [prometheus, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             "--web.listen-address=127.0.0.1:9090", "--log.level=warn"],
        )  # fmt: skip
        told = wait_for(time.monotonic() + float(limit))
        told["answers"] = {text: ask("query", query=text)["result"] for text in json.loads(expressions)}
    sys.stdout.write(json.dumps(told))


def wait_for(end: float) -> dict[str, Any]:
    """What Prometheus knows, once it has asked all replicas and evaluated all rules."""
    while True:
        try:
            told = {
                "targets": {one["labels"]["instance"]: one["health"] for one in ask("targets")["activeTargets"]},
                "rules": {one["name"]: one["health"] for one in ask("rules")["groups"][0]["rules"]},
            }
        except (OSError, LookupError):
            told = {}
        done = len(told.get("targets", ())) == len(ADDRESSES) and "unknown" not in [
            *told["targets"].values(), *told["rules"].values(),
        ]  # fmt: skip
        if done or time.monotonic() > end:
            return told
        time.sleep(0.05)


def ask(what: str, **parameters: str) -> Any:
    """What the API of Prometheus answers."""
    url = f"{API}{what}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)["data"]


def answer_names(names: socket.socket) -> None:
    """A name server (RFC 1035) that knows one name, and its three addresses."""
    while True:
        query, asker = names.recvfrom(4096)
        question = query[12 : query.index(b"\0", 12) + 5]
        found = ADDRESSES if question == NAME + struct.pack(">HH", 1, 1) else ()
        header = query[:2] + struct.pack(">HHHHH", 0x8580 if found else 0x8583, 1, len(found), 0, 0)
        records = (struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address) for address in found)
        names.sendto(header + question + b"".join(records), asker)


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
