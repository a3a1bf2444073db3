"""Signals are heard in an event loop: each number, whatever floods come, without standing still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(script: str) -> str:
    """What this script prints; signals are a process's own, so it has one."""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "nothing warns of a full socket"
    return result.stdout


def test_none_is_lost_in_a_flood_and_floods_are_one() -> None:
    script = """if True:
        import asyncio, os, signal
        from leader_async.signals import listen

        async def main():
            heard = []
            numbers = signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2
            listen({number: lambda number=number: heard.append(number.name) for number in numbers})
            for _ in range(5000):
                os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR1)
            while len(heard) < 3:
                await asyncio.sleep(0)
            print(*heard)

        asyncio.run(main())
    """
    assert sorted(run(script).split()) == ["SIGTERM", "SIGUSR1", "SIGUSR2"]


def test_the_loop_goes_on_during_a_flood() -> None:
    script = """if True:
        import asyncio, os, signal, subprocess, sys
        from leader_async.signals import listen

        # As fast as can be, without a pause, would leave the kernel no time to run us.
        FLOOD = "import os, signal, time\\nwhile True: os.kill(%d, signal.SIGUSR2); time.sleep(0)" % os.getpid()

        async def main():
            heard = []
            listen({signal.SIGUSR2: lambda: heard.append(2), signal.SIGTERM: lambda: heard.append(15)})
            flood = subprocess.Popen([sys.executable, "-c", FLOOD])
            try:
                while not heard:
                    await asyncio.sleep(0)
                for turn in range(200):
                    await asyncio.sleep(0.001)
                os.kill(os.getpid(), signal.SIGTERM)
                while 15 not in heard:
                    await asyncio.sleep(0)
            finally:
                flood.kill()
                flood.wait()
            print("over")

        asyncio.run(main())
    """
    assert run(script) == "over\n"


def test_a_sleeping_loop_is_woken_by_a_signal_that_somebody_else_handles() -> None:
    script = """if True:
        import asyncio, os, signal, threading
        from leader_async import signals

        async def main():
            loop = asyncio.get_running_loop()
            woken = loop.create_future()
            # call_soon alone wakes nobody
            signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon(woken.set_result, "woken"))
            signals.wake()
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            print(await woken)

        asyncio.run(main())
    """
    assert run(script) == "woken\n"
