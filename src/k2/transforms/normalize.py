"""A raw record of one exchange becomes a V2 trade, valid or not. One row in, one row out."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from k2.exchanges.exchange import Exchange
from k2.exchanges.symbols import STANDARD_CODE
from k2.tables.columns import PRICE
from k2.transforms.decimals import exact, is_number_that_does_not_fit
from k2.transforms.identity import identity_hash, message_id, space_hash

# Where a record came from; these pass through untouched.
LINEAGE = ("topic", "partition", "offset", "schema_id", "kafka_timestamp", "value")
VERDICT = ("error_type", "error_reason")
# What rules and the search for duplicates need beside the trade itself.
WORKINGS = (
    "exchange_symbol",
    "price_exact",
    "price_too_large",
    "quantity_exact",
    "quantity_too_large",
    "identity_space",
    "identity_number",
)


def normalize(decoded: DataFrame, exchange: Exchange, carried: Sequence[str] = ()) -> DataFrame:
    """Map raw records to V2 trades by the exchange's definition.

    Args:
        decoded: the columns of :func:`k2.transforms.decode.decode`.
        exchange: whose records they are.
        carried: further columns of ``decoded`` that pass through untouched.

    Returns:
        The 15 V2 fields, and the columns of ``LINEAGE``, ``VERDICT``, ``WORKINGS`` and ``carried``. What cannot
        be mapped is null; the rules of :mod:`k2.quality.rules` judge it.
    """
    kept = [F.col(name) for name in (*LINEAGE, *VERDICT, *carried)]
    raw = decoded.select("raw.*", F.struct(*kept).alias("_kept"))
    mapped = raw.select(
        *(F.expr(sql).alias(f"_{name}") for name, sql in exchange.columns.items()),
        space_hash(F.expr(exchange.identity.space)).alias("identity_space"),
        F.expr(exchange.identity.number).cast("bigint").alias("identity_number"),
        F.expr(exchange.identity.fields).alias("_fields"),
        _vendor_data(exchange).alias("vendor_data"),
        "_kept.*",
    )
    numbers = mapped.select(
        "*",
        exact(F.col("_price")).alias("price_exact"),
        exact(F.col("_quantity")).alias("quantity_exact"),
        standard_code(F.col("_base")).alias("_base_code"),
        standard_code(F.col("_quote")).alias("_quote_code"),
        identity_hash(F.col("identity_space"), F.col("identity_number"), F.col("_fields")).alias(
            "_identity"
        ),
    )
    return numbers.select(
        message_id(exchange.name, F.col("_timestamp"), F.col("_identity")).alias("message_id"),
        F.coalesce("_trade_id", "_identity").alias("trade_id"),
        F.concat("_base_code", F.lit("-"), "_quote_code").alias("symbol"),
        F.lit(exchange.name).alias("exchange"),
        F.lit("crypto").alias("asset_class"),
        F.col("_timestamp").alias("timestamp"),
        _fitting(F.col("price_exact")).alias("price"),
        _fitting(F.col("quantity_exact")).alias("quantity"),
        F.col("_quote_code").alias("currency"),
        F.col("_side").alias("side"),
        F.col("_trade_conditions").alias("trade_conditions"),
        F.col("_source_sequence").cast("bigint").alias("source_sequence"),
        F.col("_ingestion_timestamp").alias("ingestion_timestamp"),
        F.col("offset").alias("platform_sequence"),
        "vendor_data",
        *LINEAGE,
        *VERDICT,
        *carried,
        F.col("_exchange_symbol").alias("exchange_symbol"),
        "price_exact",
        is_number_that_does_not_fit(F.col("_price"), F.col("price_exact")).alias("price_too_large"),
        "quantity_exact",
        is_number_that_does_not_fit(F.col("_quantity"), F.col("quantity_exact")).alias(
            "quantity_too_large"
        ),
        "identity_space",
        "identity_number",
    )


def standard_code(asset: Column) -> Column:
    """Return the standard code of an asset's code on an exchange: BTC for XBT, itself for most."""
    # One map, not a comparison each: less code to generate and to compile.
    standards = F.create_map(*(F.lit(text) for pair in STANDARD_CODE.items() for text in pair))
    return F.coalesce(F.try_element_at(standards, asset), asset)


def _fitting(number: Column) -> Column:
    """The number as a price, or null when that would round it or overflow."""
    narrow = number.try_cast(PRICE)
    return F.when(narrow == number, narrow)


def _vendor_data(exchange: Exchange) -> Column:
    fields = {"exchange_symbol": exchange.columns["exchange_symbol"], **exchange.vendor}
    return F.to_json(F.struct(*(F.expr(sql).alias(name) for name, sql in fields.items())))
