"""Turn Bronze rows into everything that Silver's tables need, in one pass."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from k2.avro.decode import decode
from k2.avro.payloads import Int64s
from k2.exchanges.exchange import Exchange
from k2.exchanges.instruments import Instruments
from k2.silver.normalize import normalize
from k2.silver.rules.apply_rules import DEAD_LETTER, FILLER, RULE, TRADE, apply_rules
from k2.silver.rules.trade_rules import TRADE_RULES
from k2.silver.tables import dead_letters, duplicates, silver_trades
from k2.storage.columns import TIMESTAMP_US_UTC

STAGE = "silver"
_IDENTITY = ("message_id", "first_trade_id", "last_trade_id")
# Where a record came from; these pass through untouched.
LINEAGE = ("topic", "partition", "offset", "schema_id", "kafka_timestamp")
NEEDED = (*LINEAGE, "value")


def validated_schema(exchange: Exchange) -> pa.Schema:
    """Return the schema of :func:`to_silver`'s result, every column nullable.

    ``outcome`` (``trade`` or ``dead_letter``), and every column of the exchange's Silver, duplicates
    and dead-letter tables under its own name.
    """
    own = [("outcome", pa.string())]
    tables = (silver_trades(exchange), duplicates(exchange), dead_letters(exchange))
    fields = {field.name: field for table in tables for field in table.schema}
    return pa.schema(own + [(name, field.type) for name, field in fields.items()])


def to_silver(
    bronze: pa.Table,
    exchange: Exchange,
    writer_schemas: Mapping[int, str | None],
    reader: str,
    instruments: Instruments,
) -> pa.Table:
    """Decode, normalise and validate Bronze rows: one row for each, in no particular order.

    Args:
        bronze: the columns of ``NEEDED``.
        exchange: whose records they are.
        writer_schemas: Avro schema by id (:func:`k2.avro.decode.decode`).
        reader: the Avro schema of the exchange's newest raw record.
        instruments: what the names of the exchange's markets mean.

    Returns:
        The columns of :func:`validated_schema`. A trade has nulls in the columns of a dead letter, and a
        dead letter in those of a trade, except its identity. ``reason`` is null: duplicates are found later.
    """
    decoded = decode(bronze["value"], writer_schemas, reader)
    lineage = _at(bronze.select(LINEAGE), decoded.rows)
    judged = _validated(normalize(decoded.raw, exchange, instruments), lineage, exchange)
    is_trade = pc.is_null(judged["error_reasons"])
    is_broken = pc.invert(is_trade)
    broken = judged.filter(is_broken)
    letters = [
        _letters(
            _at(bronze, decoded.unread),
            decoded.errors["error_type"],
            _each_alone(decoded.errors["error_reason"]),
        ),
        _with(
            _letters(
                _at(bronze, decoded.rows[is_broken.to_numpy()]),
                _kind_of(broken["error_reasons"]),
                broken["error_reasons"],
            ),
            {name: broken[name] for name in _IDENTITY},
        ),
    ]
    schema = validated_schema(exchange)
    parts = [_trades(judged.filter(is_trade)), *letters]
    return pa.concat_tables([_of_schema(part, schema) for part in parts])


def _validated(normalized: pa.Table, lineage: pa.Table, exchange: Exchange) -> pa.Table:
    """The result of :func:`~k2.silver.rules.apply_rules.apply_rules`, with the records' lineage."""
    broker_us = lineage["kafka_timestamp"].cast(TIMESTAMP_US_UTC).cast(pa.int64())
    judged = apply_rules(normalized, broker_us, exchange, TRADE_RULES)
    return _with(judged, {name: lineage[name] for name in LINEAGE})


def _trades(trades: pa.Table) -> pa.Table:
    times = {
        name: trades[name].cast(TIMESTAMP_US_UTC) for name in ("timestamp", "ingestion_timestamp")
    }
    broker_day = trades["kafka_timestamp"].cast(pa.date32())
    return _with(
        trades.drop_columns(["error_reasons"]),
        times
        | {
            "outcome": pa.repeat(TRADE, trades.num_rows),
            "platform_sequence": trades["offset"],
            "exchange_date": times["timestamp"].cast(pa.date32()),
            "dup_date": broker_day,
        },
    )


def _kind_of(error_reasons: pa.ChunkedArray) -> pa.ChunkedArray:
    first = pc.list_element(error_reasons, 0)
    return pc.if_else(pc.equal(first, FILLER), FILLER, RULE)


def _letters(bronze: pa.Table, error_type: pa.Array, error_reasons: pa.Array) -> pa.Table:
    """Dead letters; their time is the broker's, so that a repeated batch gives the same ones."""
    return _with(
        bronze.select(LINEAGE),
        {
            "outcome": pa.repeat(DEAD_LETTER, bronze.num_rows),
            "raw_record": bronze["value"],
            "error_type": error_type,
            "error_reasons": error_reasons,
            "stage": pa.repeat(STAGE, bronze.num_rows),
            "error_timestamp": bronze["kafka_timestamp"],
            "dlq_date": bronze["kafka_timestamp"].cast(pa.date32()),
        },
    )


def _at(rows: pa.Table, places: Int64s) -> pa.Table:
    if places.size == rows.num_rows and (places[1:] > places[:-1]).all():
        return rows  # all of them
    return rows.take(pa.array(places))


def _each_alone(reasons_: pa.ChunkedArray) -> pa.Array:
    """Every text as a list of its own."""
    whole = reasons_.combine_chunks()
    return pa.ListArray.from_arrays(pa.array(range(len(whole) + 1), pa.int32()), whole)


def _with(rows: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    return pa.table({name: rows[name] for name in rows.column_names} | dict(columns))


def _of_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema; missing ones are null."""
    there = set(rows.column_names)
    columns = [
        (
            rows[field.name].cast(field.type)
            if field.name in there
            else pa.nulls(rows.num_rows, field.type)
        )
        for field in schema
    ]
    return pa.table(columns, schema=schema)
