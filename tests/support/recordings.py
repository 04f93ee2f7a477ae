"""Recorded market data: small invented recordings that every clone has, and real ones where they are.

``tests/data`` is described in its README. Real recordings and cases of others may lie in ``../shared``,
beside the checkout; a test that can use both runs with both.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
INVENTED = ROOT / "tests" / "data"
SHARED = ROOT.parent / "shared"

# Trades in each recording, of both kinds; counted apart from K2 and from the checker.
TRADES = {
    "binance/spot-btc-eth.ndjson": 102,
    "binance/spot-btcusdt.recv-ns": 53,
    "binance/usdm.cryptofeed.jsonl": 14,
    "kraken/v2-btc-eth.ndjson": 21,
    "kraken/v1.cryptofeed.jsonl": 8,
    "coinbase/exchange-btc-eth.ndjson": 36,
    "binance/spot-btc-eth-20260707.ndjson.gz": 1_163,
    "binance/spot-btcusdt-20240809.recv-ns.gz": 10_147,
    "binance/usdm-20210722.cryptofeed.jsonl.zst": 91,
    "kraken/v2-btc-eth-20260707.ndjson.gz": 17,
    "kraken/v1-20210417.cryptofeed.jsonl.zst": 10,
    "coinbase/exchange-btc-eth-20260707.ndjson.gz": 437,
}
RECORDINGS = [
    folder for folder in (INVENTED / "recordings", SHARED / "data") if (folder / "binance").is_dir()
]
CASES = [folder for folder in (INVENTED / "cases", SHARED / "cases") if folder.is_dir()]


def recorded_files(pattern: str) -> list[Path]:
    """Recordings that match, such as ``kraken/v2-*``, the invented ones first."""
    return [file for folder in RECORDINGS for file in sorted(folder.glob(pattern))]


def richest_files(pattern: str) -> list[Path]:
    """Recordings that match in one folder only: the real ones where they are."""
    return sorted(RECORDINGS[-1].glob(pattern))


def trades_in(file: Path) -> int:
    """How many trades a recording holds."""
    return TRADES[f"{file.parent.name}/{file.name}"]


def name_of(path: Path) -> str:
    """A short name for a test's id: of a recording, or of a folder of them."""
    return path.name if path.is_file() else path.parent.name
