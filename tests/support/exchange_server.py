"""A local server that speaks an exchange's documented live protocol, and misbehaves on command.

It shares no code with K2. Trades are numbered per market from a start; ``history`` is the truth.
Websocket and REST are on one port. What it does wrong is switched on by attributes, at any time.
"""

import asyncio
import http
import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

START_US = 1_780_000_000_000_000


@dataclass(frozen=True)
class Trade:
    """A trade of the server's market."""

    market: str
    number: int
    price: str
    quantity: str
    time_us: int
    is_buy: bool


def rfc3339(time_us: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Binance:
    """Spot ``trade`` streams in the combined form, and ``historicalTrades``."""

    path = "/stream"
    listing = "/api/v3/exchangeInfo"

    def listed(self, markets: Iterable[str]) -> Any:
        quotes = ("USDT", "USD", "EUR")
        pairs = [(m, next(q for q in quotes if m.endswith(q))) for m in markets]
        return {
            "symbols": [
                {"symbol": m, "baseAsset": m.removesuffix(q), "quoteAsset": q} for m, q in pairs
            ]
        }

    def message(self, trade: Trade) -> str:
        time_ms = trade.time_us // 1000
        data = {
            **{"e": "trade", "E": time_ms, "s": trade.market, "t": trade.number},
            **{
                "p": trade.price,
                "q": trade.quantity,
                "T": time_ms,
                "m": not trade.is_buy,
                "M": True,
            },
        }
        return json.dumps({"stream": f"{trade.market.lower()}@trade", "data": data})

    def subscribed(self, message: dict[str, Any], _known: set[str]) -> tuple[list[str], list[str]]:
        markets = [name.partition("@")[0].upper() for name in message.get("params", ())]
        return markets, [json.dumps({"result": None, "id": message.get("id")})]

    def shutdown(self) -> str:
        return json.dumps({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}})

    def heartbeat(self, _market: str, _last: int) -> str | None:
        return None

    def rest(self, path: str, query: dict[str, str], history: dict[str, list[Trade]]) -> Any:
        trades = history.get(query.get("symbol", ""), [])
        limit = min(int(query.get("limit", "500")), 1000)
        if path == "/api/v3/trades":  # the newest
            found = trades[-limit:]
        else:
            found = [t for t in trades if t.number >= int(query["fromId"])][:limit]
        return [
            {
                **{"id": t.number, "price": t.price, "qty": t.quantity, "quoteQty": "0"},
                **{"time": t.time_us // 1000, "isBuyerMaker": not t.is_buy, "isBestMatch": True},
            }
            for t in found
        ]


class Kraken:
    """Version 2's ``trade`` channel, and REST ``Trades``."""

    path = "/v2"
    listing = "/0/public/AssetPairs"

    def listed(self, markets: Iterable[str]) -> Any:
        pairs = {m.replace("/", ""): {"wsname": m.replace("BTC", "XBT")} for m in markets}
        return {"error": [], "result": pairs}

    def message(self, trade: Trade) -> str:
        return (
            f'{{"channel":"trade","type":"update","data":[{{"symbol":"{trade.market}",'
            f'"side":"{"buy" if trade.is_buy else "sell"}","price":{trade.price},'
            f'"qty":{trade.quantity},"ord_type":"market","trade_id":{trade.number},'
            f'"timestamp":"{rfc3339(trade.time_us)}"}}]}}'
        )

    def subscribed(self, message: dict[str, Any], known: set[str]) -> tuple[list[str], list[str]]:
        asked = message["params"]["symbol"]
        answers = [
            json.dumps(
                {
                    "method": "subscribe",
                    "success": True,
                    "result": {"channel": "trade", "symbol": s},
                }
                if s in known
                else {
                    **{"method": "subscribe", "success": False, "symbol": s},
                    "error": f"Currency pair not supported {s}",
                }
            )
            for s in asked
        ]
        return [s for s in asked if s in known], answers

    def shutdown(self) -> str:
        return json.dumps({"channel": "status", "data": [{"system": "maintenance"}]})

    def heartbeat(self, _market: str, _last: int) -> str | None:
        return '{"channel":"heartbeat"}'

    def rest(self, path: str, query: dict[str, str], history: dict[str, list[Trade]]) -> Any:
        trades = history.get(unquote(query["pair"]), [])
        if "since" not in query:
            since, rows = 0, trades[-1000:]
        else:
            since = int(query["since"]) // 1000
            rows = [t for t in trades if t.time_us > since][: int(query.get("count", "1000"))]
        listed = ",".join(
            f'["{t.price}","{t.quantity}",{t.time_us // 10**6}.{t.time_us % 10**6:06d}1,'
            f'"{"b" if t.is_buy else "s"}","m","",{t.number}]'
            for t in rows
        )
        last = (rows[-1].time_us if rows else since) * 1000
        return f'{{"error":[],"result":{{"X{query["pair"]}":[{listed}],"last":"{last}"}}}}'


class Coinbase:
    """The ``matches`` and ``heartbeat`` channels, and ``/products/<id>/trades``."""

    path = "/"
    listing = "/products"

    def listed(self, markets: Iterable[str]) -> Any:
        pairs = [(m, m.partition("-")) for m in markets]
        return [
            {"id": m, "base_currency": base, "quote_currency": quote}
            for m, (base, _, quote) in pairs
        ]

    def message(self, trade: Trade) -> str:
        return json.dumps(
            {
                **{"type": "match", "trade_id": trade.number, "sequence": trade.number * 7},
                "maker_order_id": "00000000-0000-0000-0000-000000000001",
                "taker_order_id": "00000000-0000-0000-0000-000000000002",
                **{"time": rfc3339(trade.time_us), "product_id": trade.market},
                **{"size": trade.quantity, "price": trade.price},
                "side": "sell" if trade.is_buy else "buy",
            }
        )

    def subscribed(self, message: dict[str, Any], known: set[str]) -> tuple[list[str], list[str]]:
        asked = message.get("product_ids", [])
        bad = [p for p in asked if p not in known]
        if bad:
            reason = f"{bad[0]} is not a valid product"
            failed = {"type": "error", "message": "Failed to subscribe", "reason": reason}
            return [], [json.dumps(failed)]
        channels = [{"name": "matches", "product_ids": asked}]
        return list(asked), [json.dumps({"type": "subscriptions", "channels": channels})]

    def shutdown(self) -> str:
        return json.dumps({"type": "status"})

    def heartbeat(self, market: str, last: int) -> str | None:
        beat = {"type": "heartbeat", "sequence": 1, "last_trade_id": last, "product_id": market}
        return json.dumps(beat)

    def rest(self, path: str, query: dict[str, str], history: dict[str, list[Trade]]) -> Any:
        market, after = path.split("/")[2], int(query.get("after", "0"))
        trades = [t for t in history.get(market, []) if not after or t.number < after]
        return [
            {
                **{"trade_id": t.number, "side": "sell" if t.is_buy else "buy"},
                **{"size": t.quantity, "price": t.price, "time": rfc3339(t.time_us)},
            }
            for t in reversed(trades[-int(query.get("limit", "1000")) :])
        ]


PROTOCOLS: dict[str, Callable[[], Any]] = {
    "binance-spot": Binance,
    "kraken": Kraken,
    "coinbase-exchange": Coinbase,
}


@dataclass(eq=False)
class Client:
    """A connected client and what it subscribed to."""

    socket: ServerConnection
    markets: set[str] = field(default_factory=set)  # acknowledged
    unserved: set[str] = field(default_factory=set)  # of those, never sent
    held_back: list[str] = field(default_factory=list)
    is_stalled: bool = False


@dataclass
class ExchangeServer:
    """One service. Use it as an asynchronous context; ``port`` is known inside."""

    service: str
    markets: tuple[str, ...]
    seed: int = 7
    history: dict[str, list[Trade]] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)  # the history begins after this number
    # Misbehaviour: probabilities for each message, and switches.
    lose: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    malform: float = 0.0
    as_binary: float = 0.0
    split: float = 0.0
    refuse_status: int | None = None
    rest_status: int | None = None
    rest_is_empty: bool = False
    rest_is_wrong: bool = False
    rest_text: str | None = None  # what REST answers in place of trades
    rest_seconds: float = 0.0
    is_mute: bool = False  # acknowledges, and sends nothing
    is_deaf: bool = False  # answers no subscription
    unserved: set[str] = field(default_factory=set)  # markets acknowledged now and never sent
    connections: int = 0
    rest_requests: int = 0
    closed: list[int] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    port: int = 0
    _server: Server | None = None

    def __post_init__(self) -> None:
        self.protocol = PROTOCOLS[self.service]()
        self.chance = random.Random(self.seed)
        self.history = {market: [] for market in self.markets}

    async def __aenter__(self) -> "ExchangeServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await serve(
            *(self._serve, "127.0.0.1", self.port),
            process_request=self._rest,
            ping_interval=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away with all connections."""
        assert self._server is not None
        for client in self.clients:
            if client.is_stalled:  # it would answer nobody who says good-bye
                client.socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()
        self.clients.clear()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.protocol.path}"

    @property
    def history_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make(self, market: str) -> Trade:
        """Make the next trade of a market, in the history before anybody hears of it."""
        trades = self.history[market]
        number = trades[-1].number + 1 if trades else 1_000
        time_us = START_US + number * 1_000
        price = f"{100 + self.chance.randrange(1000) / 100:.2f}"
        trade = Trade(market, number, price, "0.125", time_us, self.chance.random() < 0.5)
        trades.append(trade)
        return trade

    async def publish(self, count: int, rate: float | None = None) -> None:
        """Make and send trades, in turns over the markets."""
        for place in range(count):
            trade = self.make(self.markets[place % len(self.markets)])
            for client in list(self.clients):
                if trade.market in client.markets:
                    await self._send_trade(client, trade)
            if rate:
                await asyncio.sleep(1 / rate)
            elif place % 50 == 0:
                await asyncio.sleep(0)

    async def beat(self) -> None:
        """Send every client a heartbeat of each market."""
        for client in list(self.clients):
            for market in sorted(client.markets):
                last = self.history[market][-1].number if self.history[market] else 0
                text = self.protocol.heartbeat(market, last)
                if text is not None and not client.is_stalled:
                    await self._send(client, text)

    async def announce_shutdown(self) -> None:
        """Tell every client that the server will close."""
        for client in list(self.clients):
            await self._send(client, self.protocol.shutdown())

    async def drop(self, code: int = 1012) -> None:
        """Close all connections with a code; 1006 breaks them without one."""
        for client in list(self.clients):
            if code == 1006:
                client.socket.transport.abort()
            else:
                await client.socket.close(code)

    async def say(self, message: str | bytes) -> None:
        """Send every client a message that is not of the protocol."""
        for client in list(self.clients):
            await client.socket.send(message)

    async def ping(self, seconds: float) -> None:
        """Ping every client; fail when one does not answer in time."""
        for client in list(self.clients):
            await asyncio.wait_for(await client.socket.ping(b"1780000000000"), seconds)

    def stall(self) -> None:
        """Half-open: all connections stay and bring nothing more, not even pongs."""
        for client in self.clients:
            client.is_stalled = True
            client.socket.transport.pause_reading()

    def numbers(self, market: str) -> set[int]:
        """The truth: all numbers of a market."""
        return {trade.number for trade in self.history[market]}

    async def _serve(self, socket: ServerConnection) -> None:
        client = Client(socket)
        self.connections += 1
        self.clients.append(client)
        try:
            async for text in socket:
                if self.is_deaf:
                    continue
                markets, answers = self.protocol.subscribed(json.loads(text), set(self.markets))
                client.markets |= set(markets) & set(self.markets)
                client.unserved |= client.markets & self.unserved
                for answer in answers:
                    await socket.send(answer)
        except ConnectionClosed:
            pass
        finally:
            self.closed.append(socket.close_code or 1006)
            if client in self.clients:
                self.clients.remove(client)

    async def _send_trade(self, client: Client, trade: Trade) -> None:
        if client.is_stalled or self.is_mute or self.chance.random() < self.lose:
            return
        if trade.market in client.unserved:
            return
        text = self.protocol.message(trade)
        if self.chance.random() < self.reorder:
            client.held_back.append(text)
            return
        await self._send(client, text)
        for held in client.held_back:
            await self._send(client, held)
        client.held_back.clear()
        if self.chance.random() < self.repeat:
            await self._send(client, text)
        if self.chance.random() < self.malform:
            await self._send(client, text[: len(text) // 2])

    async def _send(self, client: Client, text: str) -> None:
        try:
            if self.chance.random() < self.as_binary:
                await client.socket.send(text.encode())
            elif self.chance.random() < self.split:
                await client.socket.send(_pieces(text))
            else:
                await client.socket.send(text)
        except ConnectionClosed:
            if client in self.clients:
                self.clients.remove(client)

    async def _rest(self, _socket: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            if self.refuse_status is None:
                return None
            return _response(self.refuse_status, b"no", {"Retry-After": "1"})
        self.rest_requests += 1
        await asyncio.sleep(self.rest_seconds)
        if self.rest_status is not None:
            return _response(
                self.rest_status, b'{"code":-1003,"msg":"limit"}', {"Retry-After": "1"}
            )
        if self.rest_text is not None:
            return _response(200, self.rest_text.encode(), {})
        if self.rest_is_wrong:
            return _response(200, b"<html>maintenance</html>", {})
        parts = urlsplit(request.path)
        if parts.path == self.protocol.listing:
            return _response(200, json.dumps(self.protocol.listed(self.markets)).encode(), {})
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        known = {
            market: (
                []
                if self.rest_is_empty
                else [t for t in trades if t.number > self.forgotten.get(market, 0)]
            )
            for market, trades in self.history.items()
        }
        found = self.protocol.rest(parts.path, query, known)
        body = found if isinstance(found, str) else json.dumps(found)
        return _response(200, body.encode(), {})


def _pieces(text: str) -> Iterable[str]:
    middle = len(text) // 2
    return iter((text[:middle], text[middle:]))


def _response(status: int, body: bytes, headers: dict[str, str]) -> Response:
    phrase = http.HTTPStatus(status).phrase
    sent = Headers({**headers, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(status, phrase, sent, body)


@contextmanager
def server_of_trades(
    service: str, markets: tuple[str, ...], rate: float, history: int = 0
) -> Iterator[ExchangeServer]:
    """Run a server in a thread: ``rate`` trades a second, after ``history`` that nobody heard of."""
    server = ExchangeServer(service, markets)
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def play() -> None:
        async with server:
            for place in range(history):
                server.make(markets[place % len(markets)])
            started.set()
            while not stopping.is_set():
                await server.publish(len(markets), rate)
                await server.beat()

    stopping = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(play(),))
    thread.start()
    started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
