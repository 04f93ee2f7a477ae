"""A message becomes raw records and nothing of it is lost: it can be written again from them."""

import json
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from k2.avro.encoding import Encoder, encoder
from k2.avro.schema_files import schema_text
from k2.exchanges import EXCHANGES, Exchange, exchange_named
from k2.exchanges.parsers import PARSERS
from tests.checker.messages import messages
from tests.support.messages import MESSAGE_OF, as_read, read_json
from tests.support.recordings import RECORDINGS, name_of

pytestmark = pytest.mark.unit

HEADER = 5  # bytes before the record
RECEIVED = 1_783_465_157_900_123

LONG = st.integers(-(2**63), 2**63 - 1)
NAME = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBER = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:f}"),
    st.integers().map(str),
    st.sampled_from(
        ["-0", "0.0", "1E-8", "3.96e-06", "1e400", "0.000003950", "123456789.1234567890123"]
    ),
)
TEXT = NAME.map(json.dumps)


def objects(fields: dict[str, st.SearchStrategy[str]], optional: dict[str, st.SearchStrategy[str]]):
    """JSON objects with those fields, some of the optional ones, some nobody knows, in any order."""

    @st.composite
    def draw(take: Any) -> str:
        chosen = {name: take(value) for name, value in fields.items()}
        chosen |= {name: take(value) for name, value in optional.items() if take(st.booleans())}
        unknown = take(st.dictionaries(NAME, ANYTHING, max_size=2))
        chosen = {name: value for name, value in unknown.items() if name not in optional} | chosen
        space = take(st.sampled_from(["", " "]))
        names = take(st.permutations(sorted(chosen)))
        return "{" + ",".join(f"{json.dumps(n)}{space}:{chosen[n]}" for n in names) + "}"

    return draw()


ANYTHING = st.recursive(
    st.one_of(NUMBER, TEXT, st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{','.join(values)}]"),
        st.dictionaries(NAME, inner, max_size=3).map(
            lambda fields: "{" + ",".join(f"{json.dumps(n)}: {v}" for n, v in fields.items()) + "}"
        ),
    ),
    max_leaves=4,
)


def quoted(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts).map(json.dumps)


WHOLE, TRUTH = LONG.map(str), st.sampled_from(["true", "false"])
ANY_TIME = st.one_of(
    quoted(
        *("2026-09-29T12:00:59.9999996Z", "2026-09-29T12:00:59Z", "2026-09-29T12:00:59.5Z"),
        *("2026-09-29t12:00:59.000000z", "2026-09-29T14:00:59.123456+02:00"),
        *("1969-12-31T23:59:59.123456Z", "0001-01-01T00:00:00.000000Z"),
    ),
    st.datetimes().map(lambda moment: json.dumps(f"{moment.isoformat('T', 'microseconds')}Z")),
)
UTC_TIME = quoted(
    "2026-10-04T12:00:02.44524Z", "2026-10-04T12:00:02Z", "2026-10-04T12:00:02.123456789Z"
)

OF_EVERY_EVENT = {"E": WHOLE, "s": TEXT, "p": TEXT, "q": TEXT, "T": WHOLE}
OF_SOME_EVENTS = {"X": ANYTHING, "nq": ANYTHING, "st": ANYTHING, "stream": st.just("null")}
TRADE = objects(
    OF_EVERY_EVENT | {"e": quoted("trade"), "t": WHOLE, "m": TRUTH},
    OF_SOME_EVENTS | {"M": TRUTH, "b": ANYTHING, "a": ANYTHING, "S": ANYTHING, "f": ANYTHING},
)
OPTION = objects(
    OF_EVERY_EVENT | {"e": quoted("trade"), "t": WHOLE, "S": quoted("1", "-1")}, {"m": ANYTHING}
)
AGGREGATE = objects(
    OF_EVERY_EVENT | {"e": quoted("aggTrade"), "a": WHOLE, "m": TRUTH},
    OF_SOME_EVENTS | {"M": TRUTH, "f": ANYTHING, "l": ANYTHING, "t": ANYTHING},
)
EVENT = st.one_of(TRADE, OPTION, AGGREGATE)
BINANCE = st.one_of(EVENT, objects({"stream": TEXT, "data": EVENT}, {"id": ANYTHING}))

QUOTED_TRADE = json.dumps("trade")
V1_TRADE = st.lists(TEXT, min_size=6, max_size=6).map(lambda texts: f"[{','.join(texts)}]")
V1 = st.builds(
    lambda channel, trades, more, pair: "["
    + ",".join([channel, trades, *more, QUOTED_TRADE, pair])
    + "]",
    st.one_of(WHOLE, ANYTHING),
    st.lists(V1_TRADE, min_size=1, max_size=3).map(lambda trades: f"[{','.join(trades)}]"),
    st.lists(ANYTHING, max_size=1),
    TEXT,
)
V2_TRADE = objects(
    {
        "symbol": TEXT,
        "side": st.one_of(quoted("buy", "sell", "b", "s", "l"), TEXT),
        "price": NUMBER,
        "qty": NUMBER,
        "ord_type": st.one_of(quoted("limit", "market", "l", "m"), TEXT),
        "trade_id": WHOLE,
        "timestamp": ANY_TIME,
    },
    {"misc": ANYTHING},
)


def arrays(values: st.SearchStrategy[str], smallest: int = 1) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=smallest, max_size=3).map(lambda texts: f"[{','.join(texts)}]")


V2 = objects(
    {"channel": quoted("trade"), "type": quoted("update", "snapshot"), "data": arrays(V2_TRADE)},
    {"sequence": ANYTHING, "message_extra": ANYTHING},
)

MATCH = objects(
    {
        **{name: TEXT for name in ("product_id", "price", "size", "side")},
        **{name: TEXT for name in ("maker_order_id", "taker_order_id")},
        "type": quoted("match", "last_match"),
        "trade_id": WHOLE,
        "sequence": WHOLE,
        "time": UTC_TIME,
    },
    {"taker_fee_rate": ANYTHING, "extra": ANYTHING},
)
MARKET_TRADE = objects(
    {
        **{name: TEXT for name in ("product_id", "price", "size")},
        "side": quoted("BUY", "SELL", "UNKNOWN_ORDER_SIDE"),
        "trade_id": st.integers(0, 2**63 - 1).map(lambda number: f'"{number}"'),
        "time": UTC_TIME,
    },
    {"exchange": ANYTHING, "sequence": ANYTHING},
)


def market_trades(first: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Messages whose first event has trades, so that they are no empty ones."""
    event = {"type": quoted("update", "snapshot"), "trades": arrays(MARKET_TRADE, 0)}
    events = st.tuples(first, arrays(objects(event, {"note": ANYTHING}), 0)).map(
        lambda parts: f"[{parts[0]}{',' if parts[1] != '[]' else ''}{parts[1][1:]}"
    )
    around = {"channel": quoted("market_trades"), "timestamp": TEXT, "sequence_num": WHOLE}
    return objects(around | {"events": events}, {"client_id": ANYTHING, "more": ANYTHING})


ADVANCED = market_trades(
    objects({"type": quoted("update", "snapshot"), "trades": arrays(MARKET_TRADE)}, {})
)


@given(BINANCE)
def test_a_binance_message_loses_nothing(message: str) -> None:
    assert_nothing_is_lost("binance", message)


@given(st.one_of(V1, V2))
def test_a_kraken_message_loses_nothing(message: str) -> None:
    assert_nothing_is_lost("kraken", message)


@given(st.one_of(MATCH, ADVANCED))
def test_a_coinbase_message_loses_nothing(message: str) -> None:
    assert_nothing_is_lost("coinbase", message)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("folder", RECORDINGS, ids=name_of)
def test_no_recorded_message_loses_anything(exchange: Exchange, folder: Path) -> None:
    trades = 0
    for file in sorted((folder / exchange.name).iterdir()):
        for message in islice(messages(file), 20_000):
            parsed = PARSERS[exchange.name](message.text.encode(), RECEIVED)
            if parsed.kind == "trades":
                trades += 1
                assert_nothing_is_lost(exchange.name, message.text)

    assert trades > 10


@pytest.mark.parametrize(
    ("exchange", "message"),
    [
        ("binance", '{"e":"trade","E":1,"s":"A","t":1,"p":"1","q":"1","T":1,"m":true,"p":"2"}'),
        ("binance", '{"stream":"a@trade","stream":"b@trade","data":{"e":"trade"}}'),
        ("kraken", '{"channel":"trade","type":"update","data":[{"price":1,"price":2}]}'),
        ("kraken", '{"channel":"trade","type":"update","type":"update","data":[]}'),
        ("coinbase", '{"type":"match","type":"match"}'),
        ("coinbase", '{"channel":"market_trades","events":[],"events":[]}'),
    ],
)
def test_a_message_that_says_a_field_twice_is_rejected(exchange: str, message: str) -> None:
    parsed = PARSERS[exchange](message.encode(), RECEIVED)

    assert parsed.rejected is not None
    assert "a field is there twice" in parsed.rejected


def assert_nothing_is_lost(exchange: str, message: str) -> None:
    parsed = PARSERS[exchange](message.encode(), RECEIVED)

    assert parsed.kind == "trades", parsed.rejected
    stored = [as_stored(exchange, record) for record in parsed.trades]
    assert as_read(MESSAGE_OF[exchange](stored)) == read_json(message)


def as_stored(exchange: str, record: dict[str, Any]) -> Any:
    """The record as it comes back from Kafka."""
    encode, schema = codec(exchange)
    return schemaless_reader(BytesIO(encode(record)[HEADER:]), schema, None)


@cache
def codec(exchange: str) -> tuple[Encoder, Any]:
    text = schema_text(exchange_named(exchange).reader_schema)
    return encoder(text, 1), parse_schema(json.loads(text))
