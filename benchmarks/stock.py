"""The stock contender: the five jobs as an engineer would first write them, nothing tuned.

Each is a ``spark-submit`` of its own with default settings: Delta's streaming sink, 200 shuffle
partitions, duplicates by watermark, dead letters by a second query over the same input. It keeps
K2's contract (the writer's schema by id, the same rules, exact decimals) on the same topics.

    spark-submit --jars … benchmarks/stock.py silver --exchange kraken --lake DIR --kafka … --registry …
"""

import argparse
import json
import urllib.request

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro, to_avro

# The simulated feed sends trades up to three hours late; a shorter watermark would drop them.
_WATERMARK = "4 hours"
_QUOTES = "USDT|FDUSD|USDC|BTC|EUR|ETH|USD"
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*$"
_CODES = {"XBT": "BTC", "XDG": "DOGE"}
_DOLLARS = ("USD", "USDT", "USDC", "FDUSD")

_RULES = {
    "symbol_unknown": "base <> '' and quote <> ''",
    "price_invalid": "price is not null and price = price_wide and price > 0",
    "quantity_invalid": "quantity is not null and quantity = quantity_wide and quantity > 0",
    "side_unknown": "side in ('BUY', 'SELL')",
    "timestamp_invalid": "timestamp >= timestamp'2009-01-03' and"
    " timestamp <= kafka_timestamp + interval 5 minutes",
}


def bronze(spark: SparkSession, options: argparse.Namespace) -> None:
    """Copy Kafka's records."""
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.kafka)
        .option("subscribe", f"market.crypto.trades.{options.exchange}.raw")
        .option("startingOffsets", "earliest")
        .option("includeHeaders", "true")
        .load()
        .withColumnRenamed("timestamp", "kafka_timestamp")
        .withColumn("schema_id", F.conv(F.hex(F.substring("value", 2, 4)), 16, 10).cast("long"))
        .withColumn("ingested_at", F.current_timestamp())
        .withColumn("ingest_date", F.to_date("kafka_timestamp"))
    )
    _write(records, options, f"bronze_{options.exchange}_trades", "ingest_date")


def silver(spark: SparkSession, options: argparse.Namespace) -> None:
    """Decode, judge and deduplicate; what is no trade goes to a table of its own."""
    valid = F.size("reasons") == 0
    trades = (
        _judged(spark, options)
        .where(valid)
        .withWatermark("timestamp", _WATERMARK)
        .dropDuplicatesWithinWatermark(["message_id"])
        .drop("value", "reasons", "raw", "base", "quote", "price_wide", "quantity_wide")
        .withColumn("exchange_date", F.to_date("timestamp"))
    )
    _write(trades, options, f"silver_{options.exchange}_trades", "exchange_date")
    rejected = _judged(spark, options).where(~valid).select(
        "value", "reasons", "topic", "partition", "offset", "schema_id", "kafka_timestamp",
        F.to_date("kafka_timestamp").alias("dlq_date"),
    )  # fmt: skip
    _write(rejected, options, f"dlq_{options.exchange}_trades", "dlq_date")


def gold(spark: SparkSession, options: argparse.Namespace) -> None:
    """Union the exchanges."""
    parts = [_read(spark, options, f"silver_{name}_trades") for name in ("binance", "kraken")]
    value = F.when(F.col("currency").isin(*_DOLLARS), F.col("price") * F.col("quantity"))
    trades = (
        parts[0]
        .unionByName(parts[1])
        .withWatermark("timestamp", _WATERMARK)
        .withColumn("trade_value_usd", value.cast("decimal(36,16)"))
        .withColumn("is_late", F.expr("kafka_timestamp > timestamp + interval 5 minutes"))
        .withColumn("exchange_hour", F.hour("timestamp"))
    )
    _write(trades, options, "gold_trades", "exchange_date", "exchange_hour")


def _judged(spark: SparkSession, options: argparse.Namespace) -> DataFrame:
    schemas = _schemas(options.registry, options.exchange)
    reader = schemas[max(schemas)]
    payload = F.when(
        (F.length("value") <= 65536) & (F.substring("value", 1, 1) == F.lit(b"\0")),
        F.expr("substring(value, 6)"),
    )
    rows = _read(spark, options, f"bronze_{options.exchange}_trades").withColumn("payload", payload)
    raw, whole = F.lit(None), F.lit(False)
    for id_, schema in schemas.items():
        is_of = F.col("schema_id") == id_
        read = from_avro("payload", schema, {"mode": "PERMISSIVE", "avroSchema": reader})
        same = from_avro("payload", schema, {"mode": "PERMISSIVE"})
        again = F.when(same["price"].isNotNull(), to_avro(same, schema))
        raw = F.when(is_of, read).otherwise(raw)
        whole = F.when(is_of, again == F.col("payload")).otherwise(whole)
    rows = rows.withColumn("raw", raw).withColumn("is_whole", F.coalesce(whole, F.lit(False)))
    kept = [n for n in rows.columns if n not in ("payload", "key", "headers", "timestampType")]
    fields = rows.select(*kept, "raw.*")
    mapping = _binance() if options.exchange == "binance" else _kraken()
    mapped = fields.select(
        *kept,
        *(F.col(n).alias(f"{n}_text") for n in ("price", "quantity")),
        *(column.alias(name) for name, column in mapping.items()),
        F.col("symbol").alias("exchange_symbol"),
        F.col("trade_id").alias("source_sequence"),
        F.timestamp_micros("ingestion_timestamp").alias("ingestion_timestamp"),
    )
    date = F.date_format("timestamp", "yyyyMMdd")
    identity = F.md5(F.concat_ws("|", "exchange_symbol", "trade"))
    trades = mapped.select(
        *(name for name in kept if name not in ("is_whole", "ingested_at", "ingest_date")),
        "is_whole", "base", "quote", "side", "timestamp", "trade_conditions", "source_sequence",
        "ingestion_timestamp", "vendor_data",
        F.concat_ws("-", F.lit(options.exchange), date, identity).alias("message_id"),
        F.col("trade").alias("trade_id"),
        F.concat_ws("-", _standard("base"), _standard("quote")).alias("symbol"),
        F.lit(options.exchange).alias("exchange"),
        F.lit("crypto").alias("asset_class"),
        *(_number(name, "decimal(18,8)").alias(name) for name in ("price", "quantity")),
        *(_number(n, "decimal(38,18)").alias(f"{n}_wide") for n in ("price", "quantity")),
        _standard("quote").alias("currency"),
        F.col("offset").alias("platform_sequence"),
    )  # fmt: skip
    broken = [F.when(~F.coalesce(F.expr(sql), F.lit(False)), n) for n, sql in _RULES.items()]
    reasons = F.when(~F.col("is_whole"), F.array(F.lit("undecodable")))
    judged = reasons.otherwise(F.array_compact(F.array(*broken)))
    return trades.withColumn("reasons", judged).drop("is_whole")


def _binance() -> dict[str, Column]:
    market = f"^([A-Z0-9]+?)({_QUOTES})$"
    vendor = F.struct(
        F.col("symbol").alias("exchange_symbol"), "event_type", "event_time_ms", "is_best_match"
    )
    return {
        "base": F.regexp_extract("symbol", market, 1),
        "quote": F.regexp_extract("symbol", market, 2),
        "trade": F.col("trade_id").cast("string"),
        "side": F.when(F.col("is_buyer_maker"), "SELL").otherwise("BUY"),
        "timestamp": F.timestamp_millis("trade_time_ms"),
        "trade_conditions": F.array().cast("array<string>"),
        "vendor_data": F.to_json(vendor),
    }


def _kraken() -> dict[str, Column]:
    market = "^([A-Z0-9]+)/([A-Z0-9]+)$"
    vendor = F.struct(
        F.col("symbol").alias("exchange_symbol"), "order_type", "misc", "sequence_in_message"
    )
    fields = ("symbol", "price", "quantity", "trade_time_seconds", "side", "order_type", "misc")
    place = F.coalesce("sequence_in_message", F.lit(0))
    micros = "cast(try_cast(trade_time_seconds as decimal(20, 6)) * 1000000 as bigint)"
    return {
        "base": F.regexp_extract("symbol", market, 1),
        "quote": F.regexp_extract("symbol", market, 2),
        "trade": F.coalesce(
            F.col("trade_id").cast("string"), F.md5(F.concat_ws("|", *fields, place))
        ),
        "side": F.when(F.col("side") == "b", "BUY").when(F.col("side") == "s", "SELL"),
        "timestamp": F.timestamp_micros(F.expr(micros)),
        "trade_conditions": F.array("order_type", "misc"),
        "vendor_data": F.to_json(vendor),
    }


def _standard(name: str) -> Column:
    return F.coalesce(*(F.when(F.col(name) == a, b) for a, b in _CODES.items()), F.col(name))


def _number(name: str, kind: str) -> Column:
    text = F.col(f"{name}_text")
    return F.when(text.rlike(_NUMBER), text.try_cast(kind))


def _schemas(registry: str, exchange: str) -> dict[int, str]:
    def get(path: str) -> object:
        with urllib.request.urlopen(f"{registry}/subjects/{subject}/versions{path}") as answer:
            return json.load(answer)

    subject = f"market.crypto.trades.{exchange}.raw-value"
    versions = [get(f"/{version}") for version in get("")]
    return {version["id"]: version["schema"] for version in versions}


def _read(spark: SparkSession, options: argparse.Namespace, table: str) -> DataFrame:
    return spark.readStream.format("delta").load(f"{options.lake}/{table}")


def _write(rows: DataFrame, options: argparse.Namespace, table: str, *partitions: str) -> None:
    query = (
        rows.writeStream.format("delta")
        .queryName(table)
        .option("checkpointLocation", f"{options.lake}/../checkpoints/{table}")
        .partitionBy(*partitions)
        .trigger(availableNow=True)
        .start(f"{options.lake}/{table}")
    )
    query.awaitTermination()


def main() -> None:
    """Run one job until nothing is left."""
    parser = argparse.ArgumentParser()
    parser.add_argument("layer", choices=["bronze", "silver", "gold"])
    for name in ("exchange", "lake", "kafka", "registry"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    {"bronze": bronze, "silver": silver, "gold": gold}[options.layer](spark, options)
    spark.stop()


if __name__ == "__main__":
    main()
