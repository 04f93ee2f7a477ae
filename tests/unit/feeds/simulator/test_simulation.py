"""The simulated stream: the same from the same seed, true to its settings and to its facts."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import pairwise

import fastavro
import pytest

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES
from k2.feeds.simulator.bad_records import BAD_KINDS
from k2.feeds.simulator.market import ASSETS, MARKETS
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation

pytestmark = pytest.mark.unit

FILES = sorted({market.schema for market in MARKETS})
ENCODERS = {file: encoder(schema_text(file), place) for place, file in enumerate(FILES, 1)}
SCHEMAS = {
    place: fastavro.parse_schema(json.loads(schema_text(file)))
    for place, file in enumerate(FILES, 1)
}
START_US = 1_790_000_000_000_000
MANY_KINDS = Simulation(START_US, 200.0, duplicates=0.1, late=0.1, bad=0.1)


def records_of(simulation, number, progress=None):
    made = []
    for block in SimulatedFeed(simulation, ENCODERS, progress or Progress()).blocks():
        made += block
        if len(made) >= number:
            return made[:number]
    raise AssertionError("unreachable")


def decoded(value):
    return fastavro.schemaless_reader(BytesIO(value[5:]), SCHEMAS[value[4]], None)


@pytest.fixture(scope="module")
def records():
    return records_of(MANY_KINDS, 20_000)


def firsts(records):
    return [record for record in records if record.fact.kind in ("trade", "late")]


def test_the_same_seed_gives_the_same_bytes(records):
    assert records_of(MANY_KINDS, 20_000) == records


def test_another_seed_gives_other_records(records):
    assert records_of(replace(MANY_KINDS, seed=8), 1_000) != records[:1_000]


def test_the_shares_are_as_asked_for(records):
    kinds = Counter(record.fact.kind for record in records)

    for kind in ("duplicate", "late", "bad"):
        assert kinds[kind] / len(records) == pytest.approx(0.1, abs=0.01)


def test_trade_ids_increase_by_one_per_market(records):
    ids = defaultdict(list)
    for record in firsts(records):
        ids[record.fact.exchange, record.fact.symbol].append(record.fact.trade_id)

    for numbers in ids.values():
        if numbers[0] is not None:
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_trades_without_an_id_differ_in_their_fields(records):
    facts = [record.fact for record in firsts(records) if record.fact.trade_id is None]

    assert len(facts) > 100
    assert len(set(facts)) == len(facts)


def test_a_duplicate_repeats_an_earlier_record_byte_for_byte(records):
    sent = set()
    for record in records:
        if record.fact.kind == "duplicate":
            assert (record.topic, record.key, record.value) in sent
        elif record.fact.kind != "bad":
            sent.add((record.topic, record.key, record.value))


@pytest.mark.parametrize("hours", [0.001, 6])
def test_as_many_duplicates_are_older_than_an_hour_as_asked_for(hours):
    step_us = hours * 3_600_000_000 / 20_000
    wanted = replace(MANY_KINDS, step_us=step_us, old_duplicates=0.5)

    ages = [
        START_US + place * step_us - record.fact.time_us
        for place, record in enumerate(records_of(wanted, 20_000))
        if record.fact.kind == "duplicate"
    ]

    assert sum(age > 3_600_000_000 for age in ages) / len(ages) == pytest.approx(0.5, abs=0.05)


def test_old_duplicates_were_sent_long_ago_and_at_any_time():
    wanted = replace(MANY_KINDS, step_us=6 * 3_600_000_000 / 20_000, old_duplicates=1.0)
    sent_at, gaps = {}, []
    for place, record in enumerate(records_of(wanted, 20_000)):
        if record.fact.kind == "duplicate":
            gaps.append(place - sent_at[record.value])
        elif record.fact.kind != "bad":
            sent_at[record.value] = place

    an_hour = 20_000 / 6
    long_ago = [gap for gap in gaps if gap > an_hour]
    assert len(long_ago) > len(gaps) * 0.3
    assert max(long_ago) > 4 * an_hour


def test_simulated_broker_times_follow_the_stream_for_repeated_records_too():
    timed = replace(MANY_KINDS, broker_times=True)

    for place, record in enumerate(records_of(timed, 2_000)):
        assert record.broker_time_ms * 1000 == pytest.approx(START_US + place * 200, abs=51_000)


def test_without_simulated_broker_times_the_sending_gives_them(records):
    assert {record.broker_time_ms for record in records} == {None}


def test_late_trades_are_over_five_minutes_old_and_no_other_is(records):
    for place, record in enumerate(records):
        age = START_US + place * 200 - record.fact.time_us
        if record.fact.kind == "late":
            assert age > 300_000_000
        elif record.fact.kind == "trade":
            assert age < 300_000_000


def test_what_is_sent_decodes_to_the_fact(records):
    for record in firsts(records)[::7]:
        raw, fact = decoded(record.value), record.fact
        assert (raw["symbol"], raw["price"], raw["quantity"]) == (
            fact.symbol,
            fact.price,
            fact.quantity,
        )
        if fact.exchange == "binance":
            assert raw["trade_time_ms"] * 1000 == fact.time_us
            assert raw["is_buyer_maker"] == (fact.side == "SELL")
        elif fact.exchange == "coinbase":
            time = datetime.fromisoformat(raw["trade_time"])
            assert (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                microseconds=1
            ) == fact.time_us
            assert raw["maker_side"] == {"BUY": "sell", "SELL": "buy"}[fact.side]
        else:
            assert Decimal(raw["trade_time_seconds"]) * 1_000_000 == fact.time_us
            assert raw["side"] == fact.side[0].lower()
        assert raw.get("trade_id") == fact.trade_id
        assert record.key == fact.symbol.encode()


def test_prices_stay_between_what_their_assets_are_worth_and_quantities_above_zero(records):
    markets = {(m.exchange, m.symbol): m for m in MARKETS}

    for record in firsts(records):
        market = markets[record.fact.exchange, record.fact.symbol]
        base, quote = ASSETS[market.base], ASSETS[market.quote]
        assert base[0] / quote[1] * 0.99 <= float(record.fact.price) <= base[1] / quote[0] * 1.01
        assert Decimal(record.fact.quantity) > 0


def dollars_by_base(records, quotes):
    """Prices of each base asset in dollars, from all exchanges, over a tenth of a second."""
    markets = {(m.exchange, m.symbol): m for m in MARKETS}
    found = defaultdict(lambda: defaultdict(list))
    for record in firsts(records):
        market = markets[record.fact.exchange, record.fact.symbol]
        if market.quote in quotes:
            price = float(record.fact.price) * quotes[market.quote]
            found[market.base][record.fact.exchange, record.fact.symbol].append(price)
    return found


def test_an_asset_has_one_price_in_all_markets_of_all_exchanges():
    plain = replace(MANY_KINDS, duplicates=0, late=0, bad=0)
    feed = SimulatedFeed(plain, ENCODERS, Progress())
    made = next(feed.blocks())
    worth = feed.progress.values

    found = dollars_by_base(made, worth)

    assert len(found["BTC"]) >= 6
    assert {exchange for exchange, _ in found["BTC"]} == {e.name for e in EXCHANGES}
    for base in ("BTC", "ETH", "SOL", "XRP"):
        for prices in found[base].values():
            assert prices == pytest.approx([worth[base]] * len(prices), rel=0.01), base


def test_a_trade_that_arrives_late_has_the_price_of_its_time():
    slow = replace(MANY_KINDS, step_us=200_000.0, duplicates=0, late=0.05, bad=0)
    usual, late = defaultdict(list), []
    for record in records_of(slow, 200_000):
        fact = record.fact
        if fact.symbol == "BTCUSDT" and fact.exchange == "binance":
            minute = fact.time_us // 60_000_000
            price = float(fact.price)
            late.append((minute, price)) if fact.kind == "late" else usual[minute].append(price)

    # Of the time before the first record nothing is known.
    whole = set(usual) - {START_US // 60_000_000}
    beside = [(price, usual[minute]) for minute, price in late if minute in whole]

    assert len(beside) > 100
    for price, prices in beside:
        assert price == pytest.approx(sum(prices) / len(prices), rel=0.002)


def test_every_exchange_is_simulated(records):
    counts = Counter(record.fact.exchange for record in records)

    assert set(counts) == {exchange.name for exchange in EXCHANGES}
    for exchange, share in MANY_KINDS.shares.items():
        assert counts[exchange] / len(records) == pytest.approx(share, abs=0.02)


def test_an_exchange_without_a_share_has_no_trade():
    records = records_of(replace(MANY_KINDS, kraken_share=0.3, coinbase_share=0), 5_000)

    assert {record.fact.exchange for record in records} == {"binance", "kraken"}


def test_many_binance_trades_share_a_millisecond(records):
    times = [r.fact.time_us for r in firsts(records) if r.fact.symbol == "BTCUSDT"]

    shared = sum(one == next_one for one, next_one in pairwise(times))

    assert shared / len(times) > 0.4


def test_activity_falls_with_the_rank(records):
    counts = Counter(record.fact.symbol for record in records)

    assert counts["BTCUSDT"] > counts["ETHUSDT"] > counts["LTCUSDT"] > 0
    assert counts["BTC/USD"] > counts["ADA/USD"] > 0


def test_every_defect_occurs(records):
    found = {record.fact.defect for record in records if record.fact.kind == "bad"}

    assert found == {kind.name for kind in BAD_KINDS}


def test_a_bad_record_takes_no_trade_id_from_the_stream():
    only_bad = replace(MANY_KINDS, duplicates=0, late=0, bad=1.0)
    feed = SimulatedFeed(only_bad, ENCODERS, Progress())

    next(feed.blocks())

    fresh = SimulatedFeed(only_bad, ENCODERS, Progress())
    assert feed.progress.next_ids == fresh.progress.next_ids


def test_a_second_run_goes_on_from_the_prices_of_the_first():
    feed = SimulatedFeed(MANY_KINDS, ENCODERS, Progress())
    next(feed.blocks())

    second = SimulatedFeed(MANY_KINDS, ENCODERS, feed.progress)

    assert second.progress.values == feed.progress.values


def test_the_progress_of_an_earlier_version_is_continued():
    old = Progress(runs=1, next_ids={"binance:BTCUSDT": 7}, prices=[1.0] * 30)

    feed = SimulatedFeed(MANY_KINDS, ENCODERS, old)

    assert feed.progress.next_ids["binance:BTCUSDT"] == 7
    assert feed.progress.values.keys() == ASSETS.keys()


def test_a_second_run_continues_the_ids_and_repeats_no_trade(records):
    feed = SimulatedFeed(MANY_KINDS, ENCODERS, Progress())
    first = next(feed.blocks())

    second = records_of(MANY_KINDS, 1_000, feed.progress)

    identity = {(r.fact.symbol, r.fact.trade_id) for r in firsts(first) if r.fact.trade_id}
    again = {(r.fact.symbol, r.fact.trade_id) for r in firsts(second) if r.fact.trade_id}
    assert not identity & again
    assert [r.value for r in second] != [r.value for r in first[:1_000]]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"bad": 1.5}, {"late": -0.1}, {"duplicates": 0.6, "late": 0.6}, {"seed": -1}),
        *({"step_us": 0}, {"kraken_share": 0.6, "coinbase_share": 0.6}),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError):
        replace(MANY_KINDS, **wrong)
