"""A real ZooKeeper with a TLS port, and a TLS server of our own before it that can be harmed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leader_async import TLS

from ..support.certificates import Authority, Files
from ..support.zookeeper import Server, free_ports

NETTY = "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"


@dataclass(frozen=True)
class Secured:
    """A server with a plain and a TLS port, and certificates for it.

    Attributes:
        server: reached at its plain port.
        secure: the TLS port.
        good: the CA that it trusts, and that its own certificate is of.
        other: another CA.
        mine: a client's certificate.
    """

    server: Server
    secure: int
    good: Authority
    other: Authority
    mine: Files

    @property
    def plain(self) -> str:
        return self.server.address

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.secure}"

    @property
    def tls(self) -> TLS:
        return TLS(str(self.good.ca), str(self.mine.cert), str(self.mine.key))


@contextmanager
def secured_server(folder: Path, settings: list[str]) -> Iterator[Secured]:
    """One that demands a client's certificate at its TLS port."""
    good, other = Authority(folder / "good"), Authority(folder / "other")
    its = good.issue("server", "127.0.0.1", "localhost")
    plain, secure = free_ports(2)
    settings = [
        *settings, NETTY, f"secureClientPort={secure}", "ssl.clientAuth=need",
        f"ssl.keyStore.location={its.both}", f"ssl.trustStore.location={good.ca}",
    ]  # fmt: skip
    server = Server(folder / "zk", port=plain, settings=settings)
    try:
        asyncio.run(server.start_ready())
        yield Secured(server, secure, good, other, good.issue("mine", "app"))
    finally:
        server.kill()


class Terminator:
    """A TLS server of our own before the plain port, whose certificate can be changed.

    Attributes:
        names: what its clients' certificates were for.
        passwords: what the server gave its clients to resume their sessions with.
    """

    def __init__(self, secured: Secured) -> None:
        self._secured = secured
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_verify_locations(secured.good.ca)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self.names: list[str] = []
        self.passwords: list[bytes] = []
        self._links: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Terminator:
        self.show(self._secured.good.issue("terminator", "127.0.0.1"))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def show(self, files: Files) -> None:
        """From now on it has this certificate."""
        self._context.load_cert_chain(files.both)

    def hang_up(self) -> None:
        for link in self._links:
            link.transport.abort()
        self._links.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (alternative,) = writer.get_extra_info("peercert")["subjectAltName"]
        self.names.append(alternative[1])
        server = self._secured.server
        there_reader, there_writer = await asyncio.open_connection(server.host, server.port)
        self._links += [writer, there_writer]
        self._tasks += [
            asyncio.create_task(self._carry(reader, there_writer)),
            asyncio.create_task(self._answer(there_reader, writer)),
        ]

    async def _answer(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            handshake = await source.readexactly(4 + 37)
        except (OSError, asyncio.IncompleteReadError):
            sink.transport.abort()
            return
        self.passwords.append(handshake[24:40])
        sink.write(handshake)
        await self._carry(source, sink)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except OSError:
            pass
        finally:
            sink.transport.abort()
