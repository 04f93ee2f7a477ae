"""Parsers: every message is trades, another kind, or rejected; never an exception, never a float."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2.errors import ConfigError
from k2.exchanges import EXCHANGES
from k2.exchanges.binance.messages import parse_binance
from k2.exchanges.kraken.messages import epoch_text, parse_kraken
from k2.exchanges.parsers import PARSERS, parser_of
from k2.exchanges.parsing import MessageRejected

pytestmark = pytest.mark.unit

RECEIVED = 1_783_465_157_900_123

SPOT = {
    "e": "trade",
    "E": 1783465157897,
    "s": "BTCUSDT",
    "t": 6486989273,
    "p": "63551.02000000",
    "q": "0.00317000",
    "T": 1783465157896,
    "m": True,
    "M": True,
}
SPOT_RECORD = {
    "event_type": "trade",
    "event_time_ms": 1783465157897,
    "symbol": "BTCUSDT",
    "trade_id": 6486989273,
    "price": "63551.02000000",
    "quantity": "0.00317000",
    "trade_time_ms": 1783465157896,
    "is_buyer_maker": True,
    "is_best_match": True,
    "ingestion_timestamp": RECEIVED,
    "market": "spot",
    "aggregate_id": None,
    "first_trade_id": None,
    "last_trade_id": None,
    "buyer_order_id": None,
    "seller_order_id": None,
    "execution_type": None,
    "normal_quantity": None,
    "contract_type": None,
    "taker_side": None,
    "stream": None,
    "extra": None,
    "message_extra": None,
}
OF_A_CONTRACT = {"market": None, "is_best_match": None}
V1 = (
    b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],'
    b'["354.10","1","1618678142.557535","b","m","x"]],"trade","XBT/USD"]'
)
V2 = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":63912.10,'
    b'"qty":1E-8,"ord_type":"market","trade_id":91826591,"timestamp":"2026-07-07T23:00:04.123456Z"}]}'
)


def binance(message: object) -> object:
    return parse_binance(orjson.dumps(message), RECEIVED)


def written(parsed):
    """The one record as Kafka has it: what it does not say is null."""
    (record,) = parsed.trades
    assert record.keys() <= SPOT_RECORD.keys()
    return dict.fromkeys(SPOT_RECORD) | record


@pytest.mark.parametrize("stream", [None, "btcusdt@trade"])
def test_a_spot_trade_keeps_every_field_alone_and_in_a_stream(stream):
    message = {"stream": stream, "data": SPOT} if stream else SPOT

    parsed = parse_binance(orjson.dumps(message), RECEIVED)

    assert written(parsed) == {**SPOT_RECORD, "stream": stream}
    assert parsed.event_us == 1783465157896000


def test_the_order_ids_of_the_older_schema_are_not_the_trade_id():
    parsed = binance({**SPOT, "b": 1, "a": 2})

    assert written(parsed) == {**SPOT_RECORD, "buyer_order_id": 1, "seller_order_id": 2}


def test_an_aggregate_trade_is_numbered_by_a_and_futures_have_no_best_match():
    event = {**SPOT, "e": "aggTrade", "a": 77, "f": 1, "l": 2}
    del event["M"], event["t"]

    parsed = binance(event)

    expected = {
        **SPOT_RECORD,
        "event_type": "aggTrade",
        "trade_id": 77,
        "aggregate_id": 77,
        "first_trade_id": 1,
        "last_trade_id": 2,
        **OF_A_CONTRACT,
    }
    assert written(parsed) == expected


def test_a_futures_trade_with_an_order_type_is_a_trade():
    event = {**SPOT, "X": "MARKET"}
    del event["M"]

    parsed = binance(event)

    assert written(parsed) == {**SPOT_RECORD, **OF_A_CONTRACT, "execution_type": "MARKET"}


@pytest.mark.parametrize(("said", "market"), [(1, "usdm"), (2, "coinm"), (3, None), ("1", None)])
def test_a_contract_says_its_market_by_its_type(said, market):
    event = {**SPOT, "st": said}
    del event["M"]

    (record,) = binance(event).trades

    assert record["market"] == market


def test_an_older_trade_of_an_option_has_its_side_in_place_of_the_maker():
    event = {**SPOT, "s": "BTC-260925-60000-C", "S": "-1"}
    del event["M"], event["m"]

    sold, bought = (binance({**event, "S": side}).trades[0] for side in ("-1", "1"))

    assert (sold["is_buyer_maker"], sold["taker_side"], sold["market"]) == (True, "-1", None)
    assert bought["is_buyer_maker"] is False


def test_what_nobody_expected_is_kept_number_for_number():
    event = {**SPOT, "X": 7, "new": [1, None]}
    message = orjson.dumps({"stream": "btcusdt@trade", "data": event, "id": {"a": "ü"}})

    (record,) = parse_binance(message.replace(b"[1,", b"[1.50E+3,"), RECEIVED).trades

    assert record["execution_type"] is None
    assert record["extra"] == '{"X":7,"new":[1.50E+3,null]}'
    assert record["message_extra"] == '{"id":{"a":"\\u00fc"}}'


@pytest.mark.parametrize(("told", "micros"), [(10**14 - 1, 10**17 - 1_000), (10**14, 10**14)])
def test_a_time_is_in_microseconds_from_the_year_5138_in_milliseconds_on(told, micros):
    assert binance({**SPOT, "T": told}).event_us == micros


def test_a_time_in_microseconds_is_understood():
    parsed = binance({**SPOT, "T": 1783465157896001})

    assert parsed.event_us == 1783465157896001
    assert parsed.trades[0]["trade_time_ms"] == 1783465157896001


@pytest.mark.parametrize("field", ["E", "s", "t", "p", "q", "T", "m", "e"])
def test_a_trade_without_a_field_is_rejected(field):
    event = {name: value for name, value in SPOT.items() if name != field}

    parsed = binance(event)

    assert parsed.kind == "rejected"
    assert field in parsed.rejected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p", 63551.02),
        ("q", None),
        ("t", "6486989273"),
        ("t", 2**63),
        ("t", True),
        ("T", 1783465157896.5),
        ("m", "true"),
        ("M", 1),
        ("s", ["BTCUSDT"]),
    ],
)
def test_a_trade_with_a_field_of_another_type_is_rejected(field, value):
    parsed = binance({**SPOT, field: value})

    assert parsed.kind == "rejected"


@pytest.mark.parametrize(
    "message",
    [
        b'{"result":null,"id":1}',
        b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","s":"BTCUSDT"}}',
        b'{"u":1,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}',
        b'{"lastUpdateId":1,"bids":[],"asks":[]}',
        b'[{"e":"24hrTicker"}]',
    ],
)
def test_other_binance_messages_are_counted_and_dropped(message):
    assert parse_binance(message, RECEIVED).kind == "other"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00\xff",
        b'{"e":"trade"',
        b"7",
        b'"trade"',
        b'{"stream":"btcusdt@trade","data":null}',
        b'{"stream":"btcusdt@trade","data":{}}',
        b'{"e":"trade","s":"\xff"}',
    ],
)
def test_a_binance_message_that_is_none_is_rejected(message):
    assert parse_binance(message, RECEIVED).kind == "rejected"


def test_kraken_version_1_numbers_the_trades_of_a_message_and_keeps_its_texts():
    first, second = parse_kraken(V1, RECEIVED).trades

    assert first == {
        "symbol": "XBT/USD",
        "price": "354.11000000",
        "quantity": "0.89594024",
        "trade_time_seconds": "1618678142.557535",
        "side": "s",
        "order_type": "l",
        "misc": "",
        "ingestion_timestamp": RECEIVED,
        "trade_id": None,
        "sequence_in_message": 0,
        "message_type": "v1",
        "channel_id": 993,
        "extra": None,
        "message_extra": None,
    }
    assert (second["price"], second["sequence_in_message"], second["misc"]) == ("354.10", 1, "x")


def test_kraken_version_2_keeps_the_literal_text_of_its_numbers():
    parsed = parse_kraken(V2, RECEIVED)

    assert parsed.trades == (
        {
            "symbol": "BTC/USD",
            "price": "63912.10",
            "quantity": "1E-8",
            "trade_time_seconds": "1783465204.123456",
            "side": "s",
            "order_type": "m",
            "misc": "",
            "ingestion_timestamp": RECEIVED,
            "trade_id": 91826591,
            "sequence_in_message": 0,
            "message_type": "update",
            "channel_id": None,
            "extra": None,
            "message_extra": None,
        },
    )
    assert parsed.event_us == 1783465204123456


def test_a_snapshot_is_trades_like_an_update():
    (record,) = parse_kraken(V2.replace(b"update", b"snapshot"), RECEIVED).trades

    (update,) = parse_kraken(V2, RECEIVED).trades
    assert record == {**update, "message_type": "snapshot"}


@pytest.mark.parametrize(
    "message",
    [
        b'[[{"T1":{"cost":"1","pair":"XBT/EUR"}}],"ownTrades",{"sequence":1}]',
        b'[[{"O1":{"status":"open"}}],"openOrders",{"sequence":59342}]',
    ],
)
def test_an_account_s_own_orders_and_trades_are_another_kind_of_message(message):
    assert parse_kraken(message, RECEIVED).kind == "other"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (b"63912", "63912"),
        (b"0.00000001", "0.00000001"),
        (b"123456789.123456789123456789", "123456789.123456789123456789"),
        (b"1e400", "1e400"),
        (b"-1.50", "-1.50"),
    ],
)
def test_a_number_is_never_a_float(number, text):
    parsed = parse_kraken(V2.replace(b"63912.10", number), RECEIVED)

    assert parsed.trades[0]["price"] == text
    assert type(parsed.trades[0]["price"]) is str


def test_an_unknown_side_is_left_for_silver_to_judge():
    parsed = parse_kraken(V2.replace(b"sell", b"hold"), RECEIVED)

    assert parsed.trades[0]["side"] == "hold"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"63912.10", b'"63912.10"'),
        (b"63912.10", b"NaN"),
        (b"63912.10", b"true"),
        (b"91826591", b"91826591.0"),
        (b"91826591", b"9" * 30),
        (b"91826591", b"9" * 6000),
        (b'"side":"sell",', b""),
        (b"2026-07-07T", b"2026-13-07T"),
        (b"2026-07-07T", b"yesterday "),
        (b'"BTC/USD"', b'"\\ud800"'),
        (b"update", b"delta"),
        (b'"data":[', b'"data":[7,'),
        (b'"channel":"trade",', b""),
    ],
)
def test_one_unusable_trade_rejects_its_kraken_message(old, new):
    assert old in V2

    assert parse_kraken(V2.replace(old, new), RECEIVED).kind == "rejected"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"354.10"', b"354.10"),
        (b',"x"]', b"]"),
        (b'"XBT/USD"', b"null"),
        (b'["354.10"', b'"354.10"'),
    ],
)
def test_one_unusable_trade_rejects_a_version_1_message_of_several(old, new):
    assert old in V1

    assert parse_kraken(V1.replace(old, new), RECEIVED).kind == "rejected"


@pytest.mark.parametrize(
    "message",
    [
        b'{"channel":"heartbeat"}',
        b'{"method":"subscribe","success":true}',
        b'{"event":"systemStatus"}',
        b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD"}]}',
        b'[336,{"a":[]},"book-10","XBT/USD"]',
        b'[336,{"a":[]},{"b":[]},"book-10","XBT/USD"]',
        b'[993,[],"trade","XBT/USD"]',
    ],
)
def test_other_kraken_messages_are_counted_and_dropped(message):
    assert parse_kraken(message, RECEIVED).kind == "other"


@pytest.mark.parametrize("message", [b"", b"[]", b"[1,2]", b"null", b"[" * 100_000, b"\xff", b"1"])
def test_a_kraken_message_that_is_none_is_rejected(message):
    assert parse_kraken(message, RECEIVED).kind == "rejected"


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("1970-01-01T00:00:00Z", "0.000000"),
        ("2026-07-07T23:00:04.5Z", "1783465204.500000"),
        ("2026-07-08T01:00:04.585581+02:00", "1783465204.585581"),
        ("2026-07-07T23:00:04.123456789Z", "1783465204.123456789"),
    ],
)
def test_a_timestamp_becomes_exact_seconds(timestamp, text):
    assert epoch_text(timestamp) == text


@pytest.mark.parametrize(
    "timestamp", ["", "2026-07-07", "2026-07-07T23:00:60Z", "٢026-07-07T23:00:04Z"]
)
def test_what_is_no_timestamp_is_unusable(timestamp):
    with pytest.raises(MessageRejected):
        epoch_text(timestamp)


def test_every_exchange_has_a_parser_and_an_unknown_one_is_named():
    assert PARSERS.keys() == {exchange.name for exchange in EXCHANGES}
    with pytest.raises(ConfigError, match="binance, coinbase, kraken"):
        parser_of("mtgox")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=20,
)
NEARLY_BINANCE = st.fixed_dictionaries(
    {}, optional={name: ANY_JSON | st.just(value) for name, value in SPOT.items()}
)
NEARLY_KRAKEN = st.builds(
    lambda trades, name: [1, trades, name, "XBT/USD"],
    st.lists(st.lists(ANY_JSON, max_size=7) | ANY_JSON, max_size=3) | ANY_JSON,
    st.just("trade") | ANY_JSON,
) | st.fixed_dictionaries(
    {"channel": st.just("trade") | ANY_JSON},
    optional={
        "type": st.just("update") | ANY_JSON,
        "data": ANY_JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    name: ANY_JSON | st.just(value)
                    for name, value in json.loads(V2)["data"][0].items()
                },
            )
        ),
    },
)


@pytest.mark.parametrize("exchange", sorted(PARSERS))
@given(message=st.binary() | st.text().map(str.encode))
def test_any_bytes_end_in_exactly_one_way(exchange, message):
    assert_one_outcome(PARSERS[exchange](message, RECEIVED))


@pytest.mark.parametrize("exchange", sorted(PARSERS))
@given(message=ANY_JSON | NEARLY_BINANCE | NEARLY_KRAKEN)
def test_any_json_ends_in_exactly_one_way(exchange, message):
    assert_one_outcome(PARSERS[exchange](json.dumps(message).encode(), RECEIVED))


def assert_one_outcome(parsed):
    assert (parsed.kind == "trades") == bool(parsed.trades)
    assert (parsed.kind == "rejected") == (parsed.rejected is not None)
    assert not (parsed.trades and parsed.rejected)
