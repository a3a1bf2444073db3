"""deploy/kubernetes: by the schemas of Kubernetes, by what the product has, and HAProxy's configuration by HAProxy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.asking import get, takeover
from deploy.settings import HOST
from leader_async.cli.main import serve
from leader_async.testing import ZooKeeper

from ..conftest import need
from ..support.reporting import measured
from ..support.zookeeper import free_ports
from .launching import ROOT, eventually

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.25", "1.37")
"""The oldest and the newest that the validator knows."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


RESOURCES: list[str] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
ALL = {f"{one['kind']} {one['metadata']['name']}": one for name in RESOURCES for one in documents(name)}
REPLICAS, BALANCER = ALL["Deployment leader-async"], ALL["Deployment leader-async-leader"]
POD = REPLICAS["spec"]["template"]["spec"]
(REPLICA,) = POD["containers"]


def test_everything_is_applied() -> None:
    assert sorted([*RESOURCES, "kustomization.yaml"]) == sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALL)
def test_it_is_what_kubernetes_expects(name: str, version: str) -> None:
    kubernetes_validate.validate(ALL[name], version, strict=True)


def test_a_word_that_kubernetes_does_not_know_would_be_noticed() -> None:
    wrong = deepcopy(REPLICAS)
    wrong["spec"]["template"]["spec"]["terminationGraceSeconds"] = 20
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("deployment", [REPLICAS, BALANCER], ids=["replicas", "leader"])
def test_nobody_may_more_than_needed(deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_every_selector_selects_pods_that_there_are() -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in (REPLICAS, BALANCER)]
    for name, one in ALL.items():
        spec = one.get("spec", {})
        selector = spec.get("podSelector", {}).get("matchLabels") or spec.get("selector", {})
        selector = selector.get("matchLabels", selector)
        if name.partition(" ")[0] != "ConfigMap":
            assert selector in pods, name


def test_the_settings_are_those_of_serve() -> None:
    known = {f"LEADER_ASYNC_{param.name.upper()}" for param in serve.params if param.name}
    settings = ALL["ConfigMap leader-async"]["data"]
    given = {*settings, *(one["name"] for one in REPLICA["env"] if one["name"] != "POD_IP")}
    assert given <= known
    # The service's own variables would be refused; see enableServiceLinks.
    assert "LEADER_ASYNC_PORT" in known


def test_a_graceful_stop_fits_into_the_grace_period() -> None:
    stop = float(ALL["ConfigMap leader-async"]["data"]["LEADER_ASYNC_STOP_TIMEOUT"])
    pause = float(REPLICA["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause + stop + 5 <= POD["terminationGracePeriodSeconds"]


def test_a_new_replica_is_in_the_queue_before_an_old_one_stops() -> None:
    """So that the one that started last, which gets the lead, is never one that is yet to be restarted."""
    assert REPLICAS["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert REPLICA["readinessProbe"]["httpGet"]["path"] == "/readyz"


# -- HAProxy -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def name_server(addresses: list[str]) -> Iterator[int]:
    """The port of the cluster's DNS: all names have these addresses."""

    class Question(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            question = self.rfile.read()
            name = question[12 : question.index(b"\0", 12) + 5]  # with its type and class
            found = addresses if name[-4:] == b"\0\1\0\1" else []
            answers = b"".join(
                struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address) for address in found
            )
            head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
            self.wfile.write(head + name + answers)

    with socketserver.UDPServer((HOST, 0), Question) as server:
        answering = threading.Thread(target=server.serve_forever, args=(0.02,))
        answering.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            answering.join()


@pytest.fixture
def haproxy() -> str:
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    need(None if found else "no haproxy here", "tests of deploy/kubernetes/leader.yaml", "install Debian's haproxy")
    assert found is not None
    return found


@pytest.fixture
def replicas() -> Iterator[tuple[int, dict[str, subprocess.Popen[bytes]]]]:
    """Three replicas at addresses of their own, and the port of all."""
    addresses = [f"127.0.0.{number}" for number in (2, 3, 4)]
    (port,) = free_ports(1)
    with ZooKeeper(tick=0.5) as zookeeper:
        flags = ["--zookeeper", zookeeper.address, "--port", str(port), "--log-level", "error"]
        started = {
            address: subprocess.Popen(
                [sys.executable, "-m", "leader_async", "serve", "--host", address, "--identity", address, *flags],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            for address in addresses
        }  # fmt: skip
        try:
            yield port, started
        finally:
            for process in started.values():
                process.kill()
                process.wait()


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("on_linux")
def test_haproxy_finds_the_leader_among_the_addresses_of_a_name(
    haproxy: str, replicas: tuple[int, dict[str, subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    port, started = replicas
    (leader_only,) = free_ports(1)
    text = ALL["ConfigMap leader-async-leader"]["data"]["haproxy.cfg"]
    config = tmp_path / "haproxy.cfg"
    (given,) = (one["value"] for one in BALANCER["spec"]["template"]["spec"]["containers"][0]["env"] if "value" in one)
    name = given.replace("$(NAMESPACE)", "default").replace(":8080", f":{port}")

    def leader() -> str | None:
        answer = get(leader_only, "/api/LeaderElection/is-leader", limit=1)
        return answer[1].removesuffix(" - True") if answer is not None and answer[1].endswith("True") else None

    with contextlib.ExitStack() as stack:
        nameserver = f"nameserver dns {HOST}:{stack.enter_context(name_server([*started]))}"
        config.write_text(text.replace("parse-resolv-conf", nameserver).replace(":5001", f"{HOST}:{leader_only}"))
        process = stack.enter_context(
            subprocess.Popen(
                [haproxy, "-db", "-f", str(config)],
                env={**os.environ, "REPLICAS": name}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
        stack.callback(process.terminate)
        eventually(lambda: leader() is not None, 15, "HAProxy has found the leader")
        old = leader()
        assert old is not None
        began = time.monotonic()
        started[old].send_signal(signal.SIGTERM)
        taken = takeover(leader, old, began, 10.0)
        assert taken is not None
        assert taken.leader in started
        measured("HAProxy's leader-only Service with names from DNS, SIGTERM to the leader", taken.after)
