"""What an analyst adds up over Gold is exact and overflows nowhere: DuckDB, Polars, Spark."""

from datetime import timedelta
from decimal import Context, Decimal

import polars as pl
import pytest

import k2
from k2.exchanges.binance import BINANCE
from k2.gold.processor import GoldProcessor
from k2.gold.table import GOLD_TRADES
from k2.silver.tables import silver_trades
from k2.storage.delta import ensure_table, table_path
from k2.storage.writers.arrow import ArrowWriter
from k2.storage.writers.writer import TxnId
from tests.support.trades import TRADE_TIME, arrow, silver_row

pytestmark = pytest.mark.integration

EXACTLY = Context(prec=100)
SILVER = silver_trades(BINANCE)
SUM = "select sum(price * quantity) as value from gold"
# Prices with all of their places, ten thousand million units at once, an ordinary trade, a large one. A sum
# has 14 digits before the point in DuckDB and Polars: a hundred million million of a quote currency.
TRADES = [
    ("0.00000000000001", "9999999999.0000000001"),
    ("0.00000638123456", "10000000000.1"),
    ("63551.02", "12.3456789012"),
    ("123456.12345678901234", "987654.3210987654"),
] * 250


@pytest.fixture(scope="module")
def gold(tmp_path_factory):
    """The home of a lake with these trades in Gold."""
    home = tmp_path_factory.mktemp("home")
    rows = [
        silver_row(
            BINANCE,
            offset,
            price=Decimal(price),
            quantity=Decimal(quantity),
            timestamp=TRADE_TIME + timedelta(milliseconds=offset),
        )
        for offset, (price, quantity) in enumerate(TRADES)
    ]
    writer = ArrowWriter(home / "lake")
    ensure_table(writer.lake, GOLD_TRADES)
    silver = arrow(SILVER, rows)
    kept = silver.select([name for name in silver.column_names if name in GOLD_TRADES.columns])
    GoldProcessor(5).process(writer.hold(kept), TxnId("gold/v1", 0))
    return home


@pytest.fixture(scope="module")
def value():
    products = [EXACTLY.multiply(Decimal(price), Decimal(q)) for price, q in TRADES]
    total = Decimal(0)
    for product in products:
        total = EXACTLY.add(total, product)
    return total


def test_duckdb_has_the_sum_with_all_of_its_places(gold, value):
    with k2.Lake(gold) as lake:
        (row,) = lake.sql(SUM).arrow().read_all().to_pylist()

    assert row["value"] == value


def test_polars_has_the_sum_with_all_of_its_places(gold, value):
    frame = pl.read_delta(str(table_path(gold / "lake", GOLD_TRADES)))

    (row,) = pl.SQLContext(gold=frame).execute(SUM, eager=True).to_dicts()

    assert row["value"] == value


def test_spark_rounds_each_product_to_six_places_and_fails_at_none(spark, gold, value):
    frame = spark.read.format("delta").load(str(table_path(gold / "lake", GOLD_TRADES)))
    frame.createOrReplaceTempView("gold_of_sums")

    (row,) = spark.sql(SUM.replace("from gold", "from gold_of_sums")).collect()

    # Of a product's 77 digits Spark keeps 38, and six of them behind the point.
    assert abs(row["value"] - value) <= Decimal("0.0000005") * len(TRADES)
    assert row["value"].as_tuple().exponent == -6
