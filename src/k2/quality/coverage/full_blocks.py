"""Blocks of 64 numbers, a bit each: which of them are whole, and which of two tables has more.

Gaps are found by putting a market's numbers in order, which for the seven million trades of a busy hour
takes most of what the hour costs. A full block has no gap in it. To know a block as full takes no order:
each trade sets its bits of a 64-bit number, and the block is full when all are set. In the same way two
tables are compared without a hash of each of their rows.
"""

_BITS = 6
SIZE = 1 << _BITS
_ALL = f"{2**SIZE - 1}::ubigint"


def block_of(number: str) -> str:
    """Return the SQL for the block that a number is in."""
    return f"{number} >> {_BITS}"


def first_of(block: str) -> str:
    """Return the SQL for a block's first number."""
    return f"{block} << {_BITS}"


def last_of(block: str) -> str:
    """Return the SQL for a block's last number."""
    return f"({first_of(block)}) + {SIZE - 1}"


def full_blocks(rows: str, alike: str = "true") -> str:
    """Return the SQL for the full blocks of each market: ``symbol``, ``block`` and ``alike``.

    ``rows`` have ``symbol``, ``first`` and ``last``. A block counts only where each of its rows ends in it,
    and where ``alike``, a Boolean of a row, is the same for all.
    """
    end = f"(first | {SIZE - 1})"
    bits = f"({_ALL} >> ({SIZE - 1} - (last - first))::ubigint) << (first & {SIZE - 1})::ubigint"
    return f"""
        select symbol, {block_of("first")} as block, bool_and({alike}) as alike
        from ({rows}) where first is not null
        group by symbol, block
        having bool_and(last between first and {end}) and bool_and({alike}) = bool_or({alike})
            and bit_or(case when last between first and {end} then {bits} end) = {_ALL}
    """  # noqa: S608 — our own SQL


def only_in(rows: str, other: str) -> str:
    """Return the SQL for the ``rows`` whose partition and offset the ``other`` rows have not."""
    block, place = block_of('"offset"'), '"partition", block'
    bit = f'1::ubigint << ("offset" & {SIZE - 1})::ubigint'
    masks = f'select "partition", {block} as block, bit_or({bit}) as mask from'
    return f"""
        select * exclude (block, lacking) from (select *, {block} as block from ({rows}))
        join (
            select {place}, xor(own.mask, own.mask & coalesce(theirs.mask, 0)) as lacking
            from ({masks} ({rows}) group by all) own
            left join ({masks} ({other}) group by all) theirs using ({place})
            where lacking <> 0
        ) using ({place})
        where lacking & ({bit}) <> 0
    """  # noqa: S608 — our own SQL
