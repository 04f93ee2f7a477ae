"""Bad records: each has its defect and nothing else."""

import pytest

from k2.feeds.simulator.bad_records import BAD_KINDS, bad_value, kinds_of

pytestmark = pytest.mark.unit

RECORD = {
    "symbol": "BTC/USD",
    "price": "63912.1",
    "quantity": "0.5",
    "trade_time_seconds": "1783465204.123456",
    "side": "b",
    "ingestion_timestamp": 1_783_465_204_200_000,
}
VALUE = b"\x00\x00\x00\x00\x07record-bytes"
KINDS = {kind.name: kind for kind in BAD_KINDS}


def encode(record):
    encode.last = record
    return VALUE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wrong_magic", b"\x06\x00\x00\x00\x07record-bytes"),
        ("trailing_bytes", VALUE + b"\x00\x01"),
        ("truncated", VALUE[:11]),
        ("empty", b""),
        ("null", None),
        ("unknown_schema_id", b"\x00" + (2_000_000_000).to_bytes(4, "big") + VALUE[5:]),
    ],
)
def test_damage_is_done_to_the_bytes_alone(name, value):
    assert bad_value(KINDS[name], RECORD, encode) == value
    assert encode.last == RECORD


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("negative_price", {"price": "-63912.1"}),
        ("zero_quantity", {"quantity": "0.00000000"}),
        ("price_too_large", {"price": "1111111111111111111.5"}),
        ("empty_symbol", {"symbol": ""}),
        ("unknown_side", {"side": "x"}),
        ("future_time", {"trade_time_seconds": "1783468804.200000"}),
        ("before_2009", {"trade_time_seconds": "1212278400.000000"}),
    ],
)
def test_a_broken_rule_is_one_wrong_field_of_a_record_that_decodes(name, changes):
    assert bad_value(KINDS[name], RECORD, encode) == VALUE
    assert encode.last == RECORD | changes


def test_an_oversized_record_is_over_64_kib():
    bad_value(KINDS["oversized"], RECORD, encode)

    assert len(encode.last["symbol"]) > 64 * 1024


def test_only_kraken_has_a_side_that_can_be_unknown():
    assert {kind.name for kind in set(BAD_KINDS) - set(kinds_of("binance"))} == {"unknown_side"}
    assert kinds_of("kraken") == BAD_KINDS
