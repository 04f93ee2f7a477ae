"""The trades that other tests are built on are themselves what they claim to be."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastavro import schema
from fastavro.validation import validate

from tests.fixtures.crypto_fixtures import START, V2_FIELDS, CryptoDataFactory

pytestmark = pytest.mark.unit

Record = dict[str, Any]
SCHEMAS = Path(__file__).parents[2] / "schemas"
BANDS = {"BTC": (30_000, 70_000), "ETH": (1_500, 4_500)}


def fits(record: Record, schema_file: str) -> bool:
    return bool(validate(record, schema.load_schema(SCHEMAS / schema_file), strict=True))


def seconds_of_kraken(trade: Record) -> Decimal:
    return Decimal(trade["trade_time_seconds"])


def test_a_binance_trade_fits_its_avro_schema(sample_binance_raw_trade: Record) -> None:
    assert fits(sample_binance_raw_trade, "binance_raw_trade_v1.avsc")


def test_a_kraken_trade_fits_the_newest_avro_schema(sample_kraken_raw_trade: Record) -> None:
    assert fits(sample_kraken_raw_trade, "kraken_raw_trade_v2.avsc")


def test_every_trade_of_a_sequence_fits_its_avro_schema(
    binance_trade_sequence: list[Record], kraken_trade_sequence: list[Record]
) -> None:
    assert all(fits(trade, "binance_raw_trade_v1.avsc") for trade in binance_trade_sequence)
    assert all(fits(trade, "kraken_raw_trade_v2.avsc") for trade in kraken_trade_sequence)


def test_a_kraken_trade_without_an_id_looks_like_websocket_v1(
    crypto_data_factory: CryptoDataFactory,
) -> None:
    trade = crypto_data_factory.kraken_sequence(1, with_ids=False)[0]

    assert trade["trade_id"] is None
    assert trade["symbol"] == "XBT/USD"
    assert fits(trade, "kraken_raw_trade_v2.avsc")


def test_a_v2_trade_has_the_fifteen_fields_and_fits_the_avro_schema(
    sample_v2_unified_trade: Record,
) -> None:
    payload = {name: sample_v2_unified_trade[name] for name in V2_FIELDS}

    assert len(V2_FIELDS) == 15
    assert set(sample_v2_unified_trade) == {*V2_FIELDS, "trade_value_usd", "asset_name"}
    assert fits(payload, "trade_v2.avsc")


def test_sequences_have_fifty_trades_within_an_hour(
    binance_trade_sequence: list[Record], kraken_trade_sequence: list[Record]
) -> None:
    first_ms, last_ms = (binance_trade_sequence[at]["trade_time_ms"] for at in (0, -1))
    first_s, last_s = (seconds_of_kraken(kraken_trade_sequence[at]) for at in (0, -1))

    assert len(binance_trade_sequence) == len(kraken_trade_sequence) == 50
    assert START.timestamp() * 1000 <= first_ms < last_ms < START.timestamp() * 1000 + 3_600_000
    assert START.timestamp() <= first_s < last_s < START.timestamp() + 3600
    # Spread over the hour, not bunched at its start.
    assert last_ms - first_ms > 3_000_000
    assert last_s - first_s > 3000


def test_times_rise_strictly(
    binance_trade_sequence: list[Record], kraken_trade_sequence: list[Record]
) -> None:
    binance = [trade["trade_time_ms"] for trade in binance_trade_sequence]
    kraken = [seconds_of_kraken(trade) for trade in kraken_trade_sequence]

    assert all(earlier < later for earlier, later in pairwise(binance))
    assert all(earlier < later for earlier, later in pairwise(kraken))


def test_kraken_times_are_exact_microseconds(kraken_trade_sequence: list[Record]) -> None:
    texts = [trade["trade_time_seconds"] for trade in kraken_trade_sequence]

    assert all(len(text.partition(".")[2]) == 6 for text in texts)
    assert any(not text.endswith("000") for text in texts)


def test_ids_are_unique_within_and_across_calls(crypto_data_factory: CryptoDataFactory) -> None:
    first = crypto_data_factory.binance_sequence(100)
    second = crypto_data_factory.binance_sequence(100)

    ids = [trade["trade_id"] for trade in first + second]
    assert ids == list(range(ids[0], ids[0] + 200))


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_prices_stay_in_the_band_of_their_asset(asset: str) -> None:
    low, high = BANDS[asset]

    prices = [
        Decimal(trade["price"])
        for seed in range(20)
        for trade in CryptoDataFactory(seed).binance_sequence(100, asset=asset)
    ]

    assert all(low <= price <= high for price in prices)
    assert len(set(prices)) > 1000


def test_prices_walk_in_small_steps(crypto_data_factory: CryptoDataFactory) -> None:
    prices = [Decimal(trade["price"]) for trade in crypto_data_factory.binance_sequence(500)]

    steps = [abs(later / earlier - 1) for earlier, later in pairwise(prices)]
    assert max(steps) < Decimal("0.005")
    assert sum(step > 0 for step in steps) > 400


def test_quantity_falls_as_price_rises(crypto_data_factory: CryptoDataFactory) -> None:
    def median_quantity(asset: str) -> Decimal:
        trades = crypto_data_factory.binance_sequence(401, asset=asset)
        return sorted(Decimal(trade["quantity"]) for trade in trades)[200]

    assert median_quantity("ETH") > 4 * median_quantity("BTC") > 0


def test_the_same_seed_gives_the_same_trades_and_another_seed_others() -> None:
    def trades(seed: int) -> list[Record]:
        return CryptoDataFactory(seed).v2_mixed()

    assert trades(1) == trades(1)
    assert trades(1) != trades(2)


def test_duration_and_count_can_be_chosen(crypto_data_factory: CryptoDataFactory) -> None:
    trades = crypto_data_factory.kraken_sequence(count=7, duration=timedelta(seconds=1))

    assert len(trades) == 7
    assert seconds_of_kraken(trades[-1]) - seconds_of_kraken(trades[0]) < 1


@pytest.mark.parametrize(
    "make", [CryptoDataFactory.binance_sequence, CryptoDataFactory.v2_sequence]
)
def test_more_trades_than_milliseconds_are_refused(make: Callable[..., list[Record]]) -> None:
    with pytest.raises(ValueError, match="3 trades in 2 ms"):
        make(CryptoDataFactory(), 3, timedelta(milliseconds=2))


def test_mixed_trades_are_half_binance_half_kraken_in_order(v2_mixed_trades: list[Record]) -> None:
    exchanges = [trade["exchange"] for trade in v2_mixed_trades]
    times = [trade["timestamp"] for trade in v2_mixed_trades]

    assert exchanges.count("binance") == exchanges.count("kraken") == 25
    assert times == sorted(times)
    assert len({trade["message_id"] for trade in v2_mixed_trades}) == 50


def test_v2_trades_use_standard_codes_and_names(crypto_data_factory: CryptoDataFactory) -> None:
    bitcoin = crypto_data_factory.v2_trade("kraken", "BTC")
    ether = crypto_data_factory.v2_trade("binance", "ETH")

    names = [
        (trade["symbol"], trade["currency"], trade["asset_name"]) for trade in (bitcoin, ether)
    ]
    assert names == [("BTC-USD", "USD", "Bitcoin"), ("ETH-USDT", "USDT", "Ethereum")]
    assert json.loads(ether["vendor_data"]) == {"exchange_symbol": "ETHUSDT"}


def test_the_dollar_value_is_price_times_quantity_exactly(v2_mixed_trades: list[Record]) -> None:
    for trade in v2_mixed_trades:
        assert trade["trade_value_usd"] == trade["price"] * trade["quantity"] > 0


def test_a_message_id_tells_exchange_and_day(v2_mixed_trades: list[Record]) -> None:
    for trade in v2_mixed_trades:
        exchange, day, identity = trade["message_id"].split("-")

        assert exchange == trade["exchange"]
        assert day == "20260707" == f"{trade['timestamp']:%Y%m%d}"
        assert len(identity) == 16


def test_fields_can_be_replaced(crypto_data_factory: CryptoDataFactory) -> None:
    trade = crypto_data_factory.binance_raw_trade(price="1E-8")

    assert trade["price"] == "1E-8"


def test_invalid_trades_cover_what_must_be_refused(
    invalid_trade_records: dict[str, Record],
) -> None:
    wanted = {
        *("missing_price", "missing_quantity", "negative_price", "zero_quantity", "empty_symbol"),
        *("zero_price", "negative_quantity", "unknown_side", "from_the_future", "before_bitcoin"),
    }

    assert wanted <= invalid_trade_records.keys()
    assert invalid_trade_records["missing_price"]["price"] is None
    assert invalid_trade_records["negative_price"]["price"] < 0
    assert invalid_trade_records["zero_quantity"]["quantity"] == 0
    assert invalid_trade_records["empty_symbol"]["symbol"] == ""


def test_a_valid_trade_breaks_no_rule(v2_mixed_trades: list[Record]) -> None:
    assert [broken_fields(trade) for trade in v2_mixed_trades] == [[]] * 50


def test_an_invalid_trade_is_wrong_in_one_field(invalid_trade_records: dict[str, Record]) -> None:
    assert {name: len(broken_fields(record)) for name, record in invalid_trade_records.items()} == {
        name: 1 for name in invalid_trade_records
    }


def broken_fields(trade: Record) -> list[str]:
    """Judge a V2 trade by the published rules, written down here a second time."""

    def is_amount(value: Decimal | None) -> bool:
        return value is not None and 0 < value < 10**10 and value == round(value, 8)

    genesis, tomorrow = datetime(2009, 1, 3, tzinfo=UTC), START + timedelta(days=1)
    judged = {
        "price": is_amount(trade["price"]),
        "quantity": is_amount(trade["quantity"]),
        "side": trade["side"] in ("BUY", "SELL"),
        "timestamp": trade["timestamp"] is not None and genesis <= trade["timestamp"] < tomorrow,
        **{name: bool(trade[name]) for name in ("message_id", "trade_id", "symbol", "exchange")},
        **{name: bool(trade[name]) for name in ("asset_class", "currency", "ingestion_timestamp")},
    }
    return [name for name, holds in judged.items() if not holds]
