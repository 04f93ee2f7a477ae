"""The reference page of messages: what exchanges send, and the raw record that each becomes."""

from collections.abc import Callable, Iterator
from typing import Any

from k2.exchanges import EXCHANGES
from k2.exchanges.parsers import PARSERS

Rows = Callable[[tuple[str, ...], list[tuple[Any, ...]]], str]

_RECEIVED_US = 1_783_414_800_020_000

# Numbers, ids and times are invented; shapes are those of the exchanges' documents.
EXAMPLES: dict[str, dict[str, str]] = {
    "binance": {
        "`trade` of spot, in a combined stream": (
            '{"stream":"btcusdt@trade","data":{"e":"trade","E":1783414800005,"s":"BTCUSDT",'
            '"t":6500000000,"p":"61837.63000000","q":"0.01200000","T":1783414800004,"m":true,"M":true}}'
        ),
        "`aggTrade`, all fills of an order at one price": (
            '{"e":"aggTrade","E":1783414800005,"s":"BTCUSDT","a":3000000000,"p":"61837.63000000",'
            '"q":"0.03600000","f":6500000000,"l":6500000002,"T":1783414800004,"m":true,"M":true}'
        ),
        "`trade` of a USD-M contract: `X` says how it came about, `M` is missing": (
            '{"e":"trade","E":1783414800005,"T":1783414800004,"s":"BTCUSDT","t":5000000000,'
            '"p":"61837.60","q":"0.012","X":"MARKET","m":false}'
        ),
    },
    "kraken": {
        "Websocket version 2: numbers are bare, and their digits are kept": (
            '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell",'
            '"price":61837.6,"qty":0.01200000,"ord_type":"market","trade_id":91000000,'
            '"timestamp":"2026-07-07T09:00:00.004123Z"}]}'
        ),
        "Websocket version 1: arrays, no trade ids, and the exchange's old names": (
            '[337,[["61837.60000","0.01200000","1783414800.004123","s","m",""]],"trade","XBT/USD"]'
        ),
    },
    "coinbase": {
        "`match` of Coinbase Exchange; `side` is the maker's": (
            '{"type":"match","trade_id":830000000,"maker_order_id":"317a1bc0-0000-4000-8000-00000000000a",'
            '"taker_order_id":"317a1bc0-0000-4000-8000-00000000000b","side":"buy","size":"0.01200000",'
            '"price":"61837.63","product_id":"BTC-USD","sequence":2490000000,'
            '"time":"2026-07-07T09:00:00.004123Z"}'
        ),
        "`market_trades` of Advanced Trade": (
            '{"channel":"market_trades","client_id":"","timestamp":"2026-07-07T09:00:00.010Z",'
            '"sequence_num":4,"events":[{"type":"update","trades":[{"trade_id":"830000000",'
            '"product_id":"BTC-USD","price":"61837.63","size":"0.012","side":"BUY",'
            '"time":"2026-07-07T09:00:00.004123Z"}]}]}'
        ),
    },
}


def messages(rows: Rows) -> Iterator[str]:
    """Every form of message with the record that its parser makes of it."""
    yield "# Messages of the exchanges"
    yield (
        "`k2 replay` and the live feed take the exchanges' own websocket messages. A message of trades"
        " becomes one raw record a trade, which says all that the message says: `extra` and `message_extra`"
        " keep what has no field of its own. Messages of other channels are counted and left out; one that"
        " promises trades and cannot be read goes to the exchange's topic of what was not understood,"
        " unchanged. Below, fields that are null are left out."
    )
    yield "## Recordings"
    yield (
        "A recording is a text file with one message a line: plain, `.gz` or `.zst`. A line may say when its"
        " message was received: as a number before it, or in a capture record. Number and `ts` may be in"
        " seconds, milliseconds, microseconds or nanoseconds."
    )
    yield (
        '```text\n{"e":"trade",…}\n1783414800020123456 {"e":"trade",…}\n'
        '{"t":"recv","conn":"…","ts":1783414800.020123,"data":"{\\"e\\":\\"trade\\",…}"}\n```'
    )
    yield (
        "`k2 simulate --to sample.ndjson.gz --exchange kraken --count 5000 --seed 7` writes one with simulated"
        " trades in that exchange's own format, without Kafka; the same seed and `--start` give the same"
        " file. `k2 exchange validate sample.ndjson.gz --exchange kraken` says what would become of it."
    )
    for exchange in EXCHANGES:
        yield f"## {exchange.title}"
        for title, message in EXAMPLES[exchange.name].items():
            yield f"### {title}"
            yield f"```json\n{message}\n```"
            record, *_ = PARSERS[exchange.name](message.encode(), _RECEIVED_US).trades
            said = [(f"`{name}`", f"`{value!r}`") for name, value in record.items()]
            yield rows(("raw record", "value"), [row for row in said if row[1] != "`None`"])
