-- The Flink contender's job (benchmarks/flink.py fills in {lake}, {kafka} and {registry}): Kafka to
-- Bronze, and through one deduplication to Silver and Gold; what breaks a rule to the dead letters.

CREATE CATALOG lake WITH ('type' = 'iceberg', 'catalog-type' = 'hadoop', 'warehouse' = '{lake}');
CREATE DATABASE lake.k2;

CREATE TABLE bytes_binance (
    `key` BYTES, `value` BYTES, topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
    kafka_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka}',
    'topic' = 'market.crypto.trades.binance.raw',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'key.format' = 'raw', 'key.fields' = 'key',
    'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
);
CREATE TABLE bytes_kraken WITH ('topic' = 'market.crypto.trades.kraken.raw')
LIKE bytes_binance (OVERWRITING OPTIONS);

CREATE TABLE raw_binance (
    event_type STRING, event_time_ms BIGINT, symbol STRING, trade_id BIGINT, price STRING,
    quantity STRING, trade_time_ms BIGINT, is_buyer_maker BOOLEAN, is_best_match BOOLEAN,
    ingestion_timestamp BIGINT, topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
    kafka_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, arrival AS PROCTIME()
) WITH (
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka}',
    'topic' = 'market.crypto.trades.binance.raw',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'format' = 'avro-confluent', 'avro-confluent.url' = '{registry}'
);
CREATE TABLE raw_kraken (
    symbol STRING, price STRING, quantity STRING, trade_time_seconds STRING, side STRING,
    order_type STRING, misc STRING, ingestion_timestamp BIGINT, trade_id BIGINT,
    sequence_in_message INT, topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
    kafka_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, arrival AS PROCTIME()
) WITH (
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka}',
    'topic' = 'market.crypto.trades.kraken.raw',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'format' = 'avro-confluent', 'avro-confluent.url' = '{registry}'
);

-- Flink makes times of whole milliseconds only; microseconds go through text.
CREATE VIEW mapped AS
SELECT
    'binance' AS exchange, symbol AS exchange_symbol,
    REGEXP_EXTRACT(symbol, '^([A-Z0-9]+?)(USDT|FDUSD|USDC|BTC|EUR|ETH|USD)$', 1) AS base,
    REGEXP_EXTRACT(symbol, '^([A-Z0-9]+?)(USDT|FDUSD|USDC|BTC|EUR|ETH|USD)$', 2) AS quote,
    CAST(trade_id AS STRING) AS trade_id, trade_id AS source_sequence, price, quantity,
    CASE WHEN is_buyer_maker THEN 'SELL' ELSE 'BUY' END AS side,
    CAST(TO_TIMESTAMP_LTZ(trade_time_ms, 3) AS TIMESTAMP_LTZ(6)) AS `timestamp`,
    ARRAY_REMOVE(ARRAY[CASE event_type WHEN 'aggTrade' THEN 'aggregate' ELSE '' END], '')
        AS trade_conditions,
    JSON_OBJECT(
        'exchange_symbol' VALUE symbol, 'event_type' VALUE event_type,
        'event_time_ms' VALUE event_time_ms, 'is_best_match' VALUE is_best_match ABSENT ON NULL
    ) AS vendor_data,
    ingestion_timestamp AS ingestion_us, topic, `partition`, `offset`, kafka_timestamp, arrival
FROM raw_binance
UNION ALL
SELECT
    'kraken', symbol,
    REGEXP_EXTRACT(symbol, '^([A-Z0-9]+)/([A-Z0-9]+)$', 1),
    REGEXP_EXTRACT(symbol, '^([A-Z0-9]+)/([A-Z0-9]+)$', 2),
    COALESCE(
        CAST(trade_id AS STRING),
        MD5(CONCAT_WS('|', symbol, price, quantity, trade_time_seconds, side, order_type, misc,
            CAST(COALESCE(sequence_in_message, 0) AS STRING)))
    ),
    trade_id, price, quantity, CASE side WHEN 'b' THEN 'BUY' WHEN 's' THEN 'SELL' END,
    CAST(TRY_CAST(
        FROM_UNIXTIME(TRY_CAST(SPLIT_INDEX(trade_time_seconds, '.', 0) AS BIGINT)) || '.'
            || COALESCE(SPLIT_INDEX(trade_time_seconds, '.', 1), '0') AS TIMESTAMP(6)
    ) AS TIMESTAMP_LTZ(6)),
    ARRAY_REMOVE(ARRAY[
        CASE order_type WHEN 'l' THEN 'limit' WHEN 'm' THEN 'market' ELSE order_type END, misc
    ], ''),
    JSON_OBJECT(
        'exchange_symbol' VALUE symbol, 'order_type' VALUE order_type, 'misc' VALUE misc,
        'sequence_in_message' VALUE sequence_in_message ABSENT ON NULL
    ),
    ingestion_timestamp, topic, `partition`, `offset`, kafka_timestamp, arrival
FROM raw_kraken;

CREATE VIEW typed AS
SELECT
    *,
    exchange || '-' || DATE_FORMAT(`timestamp`, 'yyyyMMdd') || '-'
        || MD5(CONCAT_WS('|', exchange_symbol, trade_id)) AS message_id,
    CASE base WHEN 'XBT' THEN 'BTC' WHEN 'XDG' THEN 'DOGE' ELSE base END AS asset,
    CASE quote WHEN 'XBT' THEN 'BTC' WHEN 'XDG' THEN 'DOGE' ELSE quote END AS currency,
    REGEXP(price, '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$') AS is_price,
    REGEXP(quantity, '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$') AS is_quantity,
    TRY_CAST(price AS DECIMAL(18, 8)) AS exact_price,
    TRY_CAST(price AS DECIMAL(38, 18)) AS wide_price,
    TRY_CAST(quantity AS DECIMAL(18, 8)) AS exact_quantity,
    TRY_CAST(quantity AS DECIMAL(38, 18)) AS wide_quantity
FROM mapped;

CREATE VIEW judged AS
SELECT
    *,
    CASE WHEN base <> '' THEN '' ELSE 'symbol_unknown ' END
    || CASE WHEN is_price AND exact_price = wide_price AND exact_price > 0
        THEN '' ELSE 'price_invalid ' END
    || CASE WHEN is_quantity AND exact_quantity = wide_quantity AND exact_quantity > 0
        THEN '' ELSE 'quantity_invalid ' END
    || CASE WHEN side IN ('BUY', 'SELL') THEN '' ELSE 'side_unknown ' END
    || CASE WHEN `timestamp` >= CAST(TIMESTAMP '2009-01-03 00:00:00' AS TIMESTAMP_LTZ(6))
        AND `timestamp` <= kafka_timestamp + INTERVAL '5' MINUTE
        THEN '' ELSE 'timestamp_invalid ' END AS reasons
FROM typed;

CREATE VIEW rejected AS
SELECT
    exchange,
    JSON_OBJECT(
        'symbol' VALUE exchange_symbol, 'trade_id' VALUE trade_id,
        'price' VALUE price, 'quantity' VALUE quantity
    ) AS fields,
    SPLIT(TRIM(reasons), ' ') AS reasons, topic, `partition`, `offset`, kafka_timestamp,
    CAST(CAST(kafka_timestamp AS TIMESTAMP(3)) AS DATE) AS dlq_date
FROM judged WHERE reasons <> '';

-- The first of an identity is kept, whenever the next one comes: the state has no end.
CREATE VIEW trades AS
SELECT
    message_id, trade_id, asset || '-' || currency AS symbol, exchange, 'crypto' AS asset_class,
    `timestamp`, exact_price AS price, exact_quantity AS quantity, currency, side,
    trade_conditions, source_sequence,
    CAST(CAST(
        FROM_UNIXTIME(ingestion_us / 1000000) || '.'
            || LPAD(CAST(MOD(ingestion_us, 1000000) AS STRING), 6, '0') AS TIMESTAMP(6)
    ) AS TIMESTAMP_LTZ(6)) AS ingestion_timestamp,
    `offset` AS platform_sequence, vendor_data, topic, `partition`, `offset`, kafka_timestamp,
    CAST(CAST(`timestamp` AS TIMESTAMP(6)) AS DATE) AS exchange_date
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY arrival) AS place
    FROM judged WHERE reasons = ''
) WHERE place = 1;

CREATE TABLE lake.k2.bronze_binance_trades (
    `key` BYTES, `value` BYTES, topic STRING, `partition` INT, `offset` BIGINT,
    kafka_timestamp TIMESTAMP_LTZ(6), ingested_at TIMESTAMP_LTZ(6), ingest_date DATE
) PARTITIONED BY (ingest_date);
CREATE TABLE lake.k2.bronze_kraken_trades LIKE lake.k2.bronze_binance_trades;
CREATE TABLE lake.k2.silver_binance_trades (
    message_id STRING, trade_id STRING, symbol STRING, exchange STRING, asset_class STRING,
    `timestamp` TIMESTAMP_LTZ(6), price DECIMAL(18, 8), quantity DECIMAL(18, 8), currency STRING,
    side STRING, trade_conditions ARRAY<STRING>, source_sequence BIGINT,
    ingestion_timestamp TIMESTAMP_LTZ(6), platform_sequence BIGINT, vendor_data STRING,
    topic STRING, `partition` INT, `offset` BIGINT, kafka_timestamp TIMESTAMP_LTZ(6),
    exchange_date DATE
) PARTITIONED BY (exchange_date);
CREATE TABLE lake.k2.silver_kraken_trades LIKE lake.k2.silver_binance_trades;
CREATE TABLE lake.k2.gold_trades (
    message_id STRING, trade_id STRING, symbol STRING, exchange STRING, asset_class STRING,
    `timestamp` TIMESTAMP_LTZ(6), price DECIMAL(18, 8), quantity DECIMAL(18, 8), currency STRING,
    side STRING, trade_conditions ARRAY<STRING>, source_sequence BIGINT,
    ingestion_timestamp TIMESTAMP_LTZ(6), platform_sequence BIGINT, vendor_data STRING,
    topic STRING, `partition` INT, `offset` BIGINT, kafka_timestamp TIMESTAMP_LTZ(6),
    exchange_date DATE, trade_value_usd DECIMAL(36, 16), is_late BOOLEAN, exchange_hour INT
) PARTITIONED BY (exchange_date, exchange_hour);
CREATE TABLE lake.k2.dlq_binance_trades (
    exchange STRING, fields STRING, reasons ARRAY<STRING>, topic STRING, `partition` INT,
    `offset` BIGINT, kafka_timestamp TIMESTAMP_LTZ(6), dlq_date DATE
) PARTITIONED BY (dlq_date);
CREATE TABLE lake.k2.dlq_kraken_trades LIKE lake.k2.dlq_binance_trades;

EXECUTE STATEMENT SET BEGIN
INSERT INTO lake.k2.bronze_binance_trades
SELECT *, CURRENT_TIMESTAMP, CAST(CAST(kafka_timestamp AS TIMESTAMP(3)) AS DATE)
FROM bytes_binance;
INSERT INTO lake.k2.bronze_kraken_trades
SELECT *, CURRENT_TIMESTAMP, CAST(CAST(kafka_timestamp AS TIMESTAMP(3)) AS DATE)
FROM bytes_kraken;
INSERT INTO lake.k2.silver_binance_trades SELECT * FROM trades WHERE exchange = 'binance';
INSERT INTO lake.k2.silver_kraken_trades SELECT * FROM trades WHERE exchange = 'kraken';
INSERT INTO lake.k2.gold_trades
SELECT
    *,
    CASE WHEN currency IN ('USD', 'USDT', 'USDC', 'FDUSD')
        THEN CAST(price * quantity AS DECIMAL(36, 16)) END,
    kafka_timestamp > `timestamp` + INTERVAL '5' MINUTE,
    CAST(EXTRACT(HOUR FROM CAST(`timestamp` AS TIMESTAMP(6))) AS INT)
FROM trades;
INSERT INTO lake.k2.dlq_binance_trades SELECT * FROM rejected WHERE exchange = 'binance';
INSERT INTO lake.k2.dlq_kraken_trades SELECT * FROM rejected WHERE exchange = 'kraken';
END;
