"""Coinbase's matches: each field as it came, everything else counted or rejected."""

import orjson
import pytest

from k2.exchanges.coinbase.messages import parse_coinbase
from k2.exchanges.parsing import OTHER

pytestmark = pytest.mark.unit

RECEIVED = 1_783_465_157_900_123
MATCH = {
    "type": "match",
    "trade_id": 700_000_001,
    "maker_order_id": "6e918404-0000-4000-8000-000000000001",
    "taker_order_id": "de6222fd-0000-4000-8000-000000000002",
    "side": "buy",
    "size": "0.00000007",
    "price": "63519.29",
    "product_id": "BTC-USD",
    "sequence": 99_000_000_001,
    "time": "2026-07-07T22:58:16.833065Z",
}
RECORD = {
    "message_type": "match",
    "symbol": "BTC-USD",
    "trade_id": 700_000_001,
    "sequence": 99_000_000_001,
    "price": "63519.29",
    "quantity": "0.00000007",
    "trade_time": "2026-07-07T22:58:16.833065Z",
    "maker_side": "buy",
    "maker_order_id": "6e918404-0000-4000-8000-000000000001",
    "taker_order_id": "de6222fd-0000-4000-8000-000000000002",
    "ingestion_timestamp": RECEIVED,
    "extra": None,
}


def parse(**changes: object) -> object:
    return parse_coinbase(orjson.dumps(MATCH | changes), RECEIVED)


def test_a_match_keeps_every_field():
    assert parse().trades == (RECORD,)


def test_a_match_is_paced_by_its_time():
    assert parse().event_us == 1_783_465_096_833_065


def test_a_last_match_is_a_trade_that_says_so():
    assert parse(type="last_match").trades == (RECORD | {"message_type": "last_match"},)


@pytest.mark.parametrize("kind", ["subscriptions", "heartbeat", "snapshot", "l2update", "error"])
def test_other_messages_are_no_trades(kind):
    assert parse(type=kind) == OTHER


@pytest.mark.parametrize("name", [name for name in MATCH if name != "type"])
def test_a_match_that_lacks_a_field_is_rejected_by_its_name(name):
    message = {key: value for key, value in MATCH.items() if key != name}

    parsed = parse_coinbase(orjson.dumps(message), RECEIVED)

    assert parsed.kind == "rejected"
    assert name in parsed.rejected


@pytest.mark.parametrize(
    "change",
    [
        {"type": 1},
        {"type": None},
        {"trade_id": "700000001"},
        {"trade_id": 1.5},
        {"trade_id": 2**63},
        {"sequence": True},
        {"price": 63519.29},
        {"size": None},
        {"side": 0},
        {"time": "2026-07-07T22:58:16.833065"},
        {"time": "2026-02-30T22:58:16.833065Z"},
        {"time": "2026"},
        {"time": 1783465096},
    ],
)
def test_a_field_of_another_kind_is_rejected(change):
    assert parse(**change).kind == "rejected"


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b"1", b"null", b'"match"', b"\xff", b"{}"])
def test_what_is_no_message_is_rejected(message):
    assert parse_coinbase(message, RECEIVED).kind == "rejected"


def test_a_side_that_nobody_knows_goes_through_for_silver_to_judge():
    assert parse(side="both").trades[0]["maker_side"] == "both"


def test_a_time_with_more_than_six_digits_is_cut_to_its_microsecond():
    parsed = parse(time="2026-07-07T23:59:59.9999996Z")

    assert parsed.trades[0]["trade_time"] == "2026-07-07T23:59:59.9999996Z"
    assert parsed.event_us == 1_783_468_799_999_999


def test_what_nobody_expected_is_kept():
    (record,) = parse(profile_id="p", taker_fee_rate=1).trades

    assert record["extra"] == '{"profile_id":"p","taker_fee_rate":1}'
