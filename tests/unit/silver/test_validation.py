"""Sample messages of an exchange: what becomes of each, without Kafka."""

import json

import pytest

import k2

pytestmark = pytest.mark.unit

BINANCE = next(exchange for exchange in k2.EXCHANGES if exchange.name == "binance")
TRADE = {
    **{"e": "trade", "E": 1_783_416_000_100, "s": "BTCUSDT", "t": 7, "p": "61837.63"},
    **{"q": "0.001", "T": 1_783_416_000_000, "m": True, "M": True},
}


def test_a_definition_is_validated_by_messages() -> None:
    messages = [json.dumps(TRADE), json.dumps(TRADE).encode(), '{"result":null,"id":1}', "{broken"]

    found = BINANCE.validate(messages)

    assert (found.messages, found.trades, found.repeated, found.other) == (4, 2, 1, 1)
    assert sum(found.rejected.values()) == 1
    assert found.first_trades[0]["symbol"] == "BTC-USDT"
    assert found.holds


def test_a_dead_letter_breaks_a_validation_and_is_named() -> None:
    found = BINANCE.validate([json.dumps(TRADE | {"p": "-1"})])

    assert dict(found.dead_letters) == {"price_not_positive": 1}
    assert not found.holds


def test_no_messages_are_no_proof() -> None:
    assert not BINANCE.validate([]).holds
