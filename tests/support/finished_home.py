"""A home after a run that was cut off: brought to its end, and counted."""

from collections import Counter

from deltalake import DeltaTable

from tests.support.home import K2Home


def rows(home: K2Home, table: str) -> int:
    """How many rows a table's log says it has; none where there is no table."""
    folder = str(home.folder / "lake" / table)
    if not DeltaTable.is_deltatable(folder):
        return 0
    return sum(DeltaTable(folder).get_add_actions(flatten=True)["num_records"].to_pylist())


def finish(home: K2Home) -> None:
    """Everything reaches Gold, balances, and is there once."""
    home.run("down")
    home.run("up", "--feed", "none", "--no-streams", "--detach")
    home.run("drain")
    assert home.json("balance")["balanced"] is True
    home.run("down")
    home.require_nothing_left()
    stored = DeltaTable(str(home.folder / "lake" / "gold_trades")).to_pyarrow_table(
        columns=["message_id"]
    )
    twice = [name for name, n in Counter(stored["message_id"].to_pylist()).items() if n > 1]
    assert stored.num_rows > 0
    assert twice == []
