"""Template's websocket service: how trades are asked for, and what else it sends.

Source: name the documents of the websocket, its limits, and of the REST call that gives trades again.
"""

import json
from collections.abc import Sequence
from typing import Any

from k2.exchanges.live import LiveService, Notice
from k2.exchanges.parsing import RawRecord


def _subscribe(markets: Sequence[str]) -> list[str]:
    return [json.dumps({"type": "subscribe", "products": list(markets), "channel": "trades"})]


def _notice(message: dict[str, Any]) -> Notice | None:
    kind = message.get("type")
    if kind == "subscribed":
        return Notice("subscribed", tuple(message.get("products") or ()))
    if kind == "error":
        return Notice("failed", reason=str(message.get("message")))
    return None


def _number(record: RawRecord) -> tuple[int, int] | None:
    return record["trade_id"], record["trade_id"]


TEMPLATE_SERVICES = (
    LiveService(
        name="template",
        exchange="template",
        market="spot",
        separator="-",
        url="wss://websocket.template.invalid",
        subscribe=_subscribe,
        notice=_notice,
        numbers=_number,
    ),
)
