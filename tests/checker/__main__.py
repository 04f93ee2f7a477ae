"""Judge a K2 home: ``python -m tests.checker --home HOME [--manifest FILE]… [RECORDING…]``."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.checker.bars import check_bars
from tests.checker.compare import compare
from tests.checker.expected import expected_trades
from tests.checker.manifest import check_manifest
from tests.checker.sent import sent_of

_SHOWN = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.checker", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, action="append", default=[])
    parser.add_argument("files", type=Path, nargs="*", metavar="RECORDING")
    wanted = parser.parse_args(arguments)
    if bool(wanted.files) == bool(wanted.manifest):
        parser.error("give recordings, or manifests")
    if wanted.files:
        expected = expected_trades(wanted.files)
        by_exchange = Counter(trade.exchange for trade in expected.values())
        print(f"expected: {dict(by_exchange)}")
        problems = compare(wanted.home, expected)
        problems += check_bars(wanted.home, map(sent_of, expected.values()))
    else:
        problems = check_manifest(wanted.home, wanted.manifest)
    for problem in problems[:_SHOWN]:
        print(problem)
    print(f"{len(problems)} problems" if problems else "all as expected")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
