"""A replica of kazoo's `Election`, used as its documentation shows: the function returns when the session is lost."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
import time
from typing import Any

from .diary import PERIOD, Diary, now


def main(servers: str, name: str, identity: str, timeout: str, lease: str, observations: str, work: str) -> None:
    logging.disable(logging.CRITICAL)
    kazoo: Any = importlib.import_module("kazoo.client")
    states: Any = importlib.import_module("kazoo.protocol.states")
    diary = Diary(observations, work)
    stopping, lost = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    client = kazoo.KazooClient(hosts=servers, timeout=float(timeout), connection_retry={"max_tries": -1})
    client.add_listener(lambda state: lost.set() if state == states.KazooState.LOST else None)

    def lead() -> None:
        # kazoo keeps the lead for as long as this runs; it ends it at LOST, which is all that kazoo ever says.
        while not stopping.is_set() and not lost.is_set():
            at = now()
            diary.leads(at, now(), 0)
            diary.begin_work()
            diary.end_work(0)
            time.sleep(PERIOD)
        diary.drop_work()

    def elect() -> None:
        while not stopping.is_set():
            try:
                client.start(timeout=30)
                break
            except Exception:
                time.sleep(0.5)
        while not stopping.is_set():
            lost.clear()
            try:
                client.Election(f"/ELECTION/{name}", identity).run(lead)
            except Exception:
                time.sleep(0.2)

    threading.Thread(target=elect, daemon=True).start()
    while not stopping.wait(0.1):
        pass
    time.sleep(0.2)
    client.stop()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
