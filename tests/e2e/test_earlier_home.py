"""Homes that the code before this one wrote go on without loss, in whichever form the streams run."""

import tarfile
from pathlib import Path

import pytest
import zstandard

from tests.checker.manifest import check_manifest
from tests.support.home import K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ARCHIVE = Path(__file__).parents[1] / "data" / "homes" / "before-the-house.tar.zst"
SENT = {
    "clean": ["first.jsonl", "second.jsonl"],
    "killed": ["first.jsonl", "second.jsonl", "third.jsonl"],
}
OF_COINBASE = 40  # trades, replayed and therefore in no manifest


def unpack(folder: Path) -> None:
    with (
        ARCHIVE.open("rb") as file,
        zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        archive.extractall(folder, filter="data")


@pytest.mark.parametrize(
    ("name", "chain_streams"), [("clean", "true"), ("killed", "true"), ("killed", "false")]
)
def test_an_earlier_home_goes_on_without_loss(
    home: K2Home, tmp_path: Path, name: str, chain_streams: str
) -> None:
    unpack(tmp_path)
    (tmp_path / name).rename(home.folder)
    home.environment["K2_CHAIN_STREAMS"] = chain_streams
    more = tmp_path / "more.jsonl"

    home.run("up", "--no-streams", "--feed", "none", "--detach")
    home.run("upgrade")  # its tables are of older versions
    home.json(
        *("simulate", "--rate", "max", "--count", 300, "--span", "3h", "--coinbase", 0),
        *("--manifest", more),
    )
    drained = home.json("drain")
    balance = home.json("balance")
    home.run("down")

    assert set(drained["backlog"].values()) == {0}
    assert balance["balanced"] is True
    assert home.rows("silver_coinbase_trades") == OF_COINBASE
    problems = check_manifest(home.folder, [*(tmp_path / file for file in SENT[name]), more])
    assert problems == []
