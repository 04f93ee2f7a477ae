"""Coinbase Advanced Trade: every trade of every event, and all that is said around it."""

import orjson
import pytest

from k2.exchanges.coinbase.messages import parse_coinbase

pytestmark = pytest.mark.unit

RECEIVED = 1_783_465_157_900_123


def trade(number: int, **changes: object) -> dict[str, object]:
    return {
        "product_id": "SOL-USD",
        "trade_id": str(number),
        "price": "150.20",
        "size": "1.0",
        "time": "2026-10-04T12:00:02.44524Z",
        "side": "BUY",
        **changes,
    }


def message(*events: object, **changes: object) -> dict[str, object]:
    return {
        "channel": "market_trades",
        "client_id": "",
        "timestamp": "2026-10-04T12:00:09.516946132Z",
        "sequence_num": 1,
        "events": list(events),
        **changes,
    }


def event(*trades: object, **changes: object) -> dict[str, object]:
    return {"type": "update", "trades": list(trades), **changes}


def parse(said: object) -> object:
    return parse_coinbase(orjson.dumps(said), RECEIVED)


def test_a_trade_keeps_every_field_and_where_it_was_in_the_message():
    first = event(
        trade(2), trade(1, side="SELL", time="2026-10-04T12:00:01.605867Z"), type="snapshot"
    )

    parsed = parse(message(first, event(trade(3))))

    assert [record["trade_id"] for record in parsed.trades] == [2, 1, 3]
    assert parsed.trades[1] == {
        "message_type": "market_trades",
        "symbol": "SOL-USD",
        "trade_id": 1,
        "sequence": 1,
        "price": "150.20",
        "quantity": "1.0",
        "trade_time": "2026-10-04T12:00:01.605867Z",
        "maker_side": "SELL",
        "maker_order_id": "",
        "taker_order_id": "",
        "ingestion_timestamp": RECEIVED,
        "event_type": "snapshot",
        "event_in_message": 0,
        "sequence_in_message": 1,
        "message_time": "2026-10-04T12:00:09.516946132Z",
        "client_id": "",
        "extra": None,
        "message_extra": None,
    }
    places = [(r["event_in_message"], r["sequence_in_message"]) for r in parsed.trades]
    assert places == [(0, 0), (0, 1), (1, 0)]


def test_a_message_is_paced_by_its_oldest_trade():
    parsed = parse(message(event(trade(2), trade(1, time="2026-10-04T12:00:01.605867Z"))))

    assert parsed.event_us == 1_791_115_201_605_867


def test_what_nobody_expected_is_kept_with_its_event():
    said = message(event(trade(1, exchange="x"), note=1), event(type="snapshot"), more=True)

    (record,) = parse(said).trades

    assert record["extra"] == '{"exchange":"x"}'
    assert record["message_extra"] == (
        '{"more":true,"events":{"0":{"note":1},"1":{"type":"snapshot","trades":[]}}}'
    )


@pytest.mark.parametrize(
    "said",
    [
        {"channel": "heartbeats", "events": [{"heartbeat_counter": "3049"}]},
        {"channel": "subscriptions", "events": [{"subscriptions": {"market_trades": ["SOL-USD"]}}]},
        {"channel": "ticker", "events": [{"type": "update", "tickers": []}]},
        message(),
        message(event()),
    ],
)
def test_other_messages_are_no_trades(said):
    assert parse(said).kind == "other"


@pytest.mark.parametrize("name", sorted(trade(1)))
def test_a_trade_that_lacks_a_field_rejects_its_message_by_its_name(name):
    lacking = {key: value for key, value in trade(1).items() if key != name}

    parsed = parse(message(event(trade(2), lacking)))

    assert parsed.kind == "rejected"
    assert name in parsed.rejected


@pytest.mark.parametrize(
    "change", [{"trade_id": n} for n in ("", "01", "1.0", "-1", "9" * 19, "9" * 5000, "²", 1)]
)
def test_a_trade_id_that_is_no_whole_number_is_rejected(change):
    assert parse(message(event(trade(1, **change)))).kind == "rejected"


@pytest.mark.parametrize(
    "said",
    [
        message(None),
        message({"type": "update"}),
        message({"type": "update", "trades": {}}),
        message(event(None)),
        message(event(trade(1), type=None)),
        message(event(trade(1)), events=None),
        message(event(trade(1)), sequence_num="1"),
        message(event(trade(1)), timestamp=None),
    ],
)
def test_what_is_no_message_of_trades_is_rejected(said):
    assert parse(said).kind == "rejected"
