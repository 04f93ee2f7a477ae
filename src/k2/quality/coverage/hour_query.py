"""What an hour's trades show, asked in SQL: counts, numbers and the gaps between them, silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from k2.exchanges import Exchange
from k2.quality.coverage.full_blocks import block_of, first_of, full_blocks, last_of, only_in
from k2.quality.coverage.table import MAX_GAPS
from k2.sql import literal, text

HOUR = timedelta(hours=1)
# What is missing for less long may be on its way: a feed asks for what it lacks at once.
SETTLE = timedelta(minutes=1)
NOTHING = "select null::varchar as symbol where false"
NO_RANGES = (
    "select null::varchar as symbol, null::bigint as first, null::bigint as last where false"
)


@dataclass(frozen=True)
class Span:
    """The numbers of a market's hour."""

    symbol: str
    low: int
    high: int


def is_settled(hour: datetime, now: datetime) -> bool:
    """Tell whether an hour is over, and what is missing in it is not on its way any more."""
    return hour + HOUR + SETTLE <= now


def is_counted(hour: datetime, now: datetime) -> str:
    """Return the SQL for whether a trade of an hour counts as one of Silver's or Gold's as of ``now``.

    In an hour that is over one that the feed received in the last minute does not yet: Silver has it a
    moment before Gold, which is not behind for that.
    """
    if not is_settled(hour, now):
        return "true"
    return f"ingestion_timestamp not between {literal(now - SETTLE)} and {literal(now)}"


def only_in_gold(gold: str, silver: str) -> str:
    """Return the SQL for Gold's rows that Silver has not; a trade's own id stands for the numbers that it covers."""
    number = "try_cast(trade_id as bigint)"
    return (
        f"select *, {number} as first_trade_id, {number} as last_trade_id"  # noqa: S608
        f" from ({only_in(gold, silver)})"
    )


def dead_numbers(letters: str, silver: str) -> str:
    """Return the SQL for the numbers that dead letters had, as rows of the markets that they are of.

    A record's ``message_id`` ends with its market's code and the id, in hexadecimal, each of 16 digits:
    the code's market is that of Silver's trades with the same code.
    """
    number = "try_cast('0x' || right(message_id, 16) as bigint)"
    code = "left(right(message_id, 32), 16)"
    return f"""
        select symbol, kafka_timestamp as "timestamp", instrument_type, []::varchar[] as trade_conditions,
            {number}::varchar as trade_id, {number} as first_trade_id, {number} as last_trade_id
        from ({letters})
        join (select distinct symbol, instrument_type, {code} as code from ({silver}))
            on {code} = code
        where message_id is not null
    """  # noqa: S608 — our own SQL


def within(spans: Sequence[Span], islands: str) -> str:
    """Return the SQL for the ranges among ``islands`` that meet a span of their market's."""
    listed = ", ".join(f"({text(span.symbol)}, {span.low}, {span.high})" for span in spans)
    return f"""
        select i.symbol, i.first, i.last from ({islands}) i
            join (values {listed}) as spans(symbol, low, high)
                on i.symbol = spans.symbol and i.first <= high and i.last >= low
    """  # noqa: S608 — our own SQL


def measuring(
    exchange: Exchange,
    hour: datetime,
    now: datetime,
    silver: str,
    lost: str = NOTHING,
    dead: str = NOTHING,
    elsewhere: str = NO_RANGES,
) -> str:
    """Return the SQL for what the trades of an hour show, a row a market.

    ``silver``, what Gold alone has (``lost``) and the numbers of ``dead`` letters are of the hour and of a
    little before and after it; ``elsewhere`` are ranges of numbers that other hours have. A gap is of no
    number that one of them has; it ends in the hour, and is not newer than ``SETTLE``. Numbers are of the
    exchange's definition.

    Blocks of numbers that are whole, like those beside them, are put in order as one row each: no gap
    begins or ends at one.
    """
    end = hour + HOUR
    first, last = _numbers(exchange)
    gap = f"first > before + 1 and ts <= {literal(now - SETTLE)}"
    inside = f'"timestamp" >= {literal(hour)} and "timestamp" < {literal(end)}'
    return f"""
        with stored as not materialized (
            select *, true as in_silver, false as is_dead from ({silver})
            union all by name
            select *, false as in_silver, false as is_dead from ({lost})
            union all by name
            select *, false as in_silver, true as is_dead from ({dead})
        ), rows as not materialized (
            select symbol, "timestamp" as ts, is_dead, {inside} as inside,
                in_silver and {is_counted(hour, now)} as is_trade,
                {first} as first, coalesce({last}, {first}) as last, "partition", "offset"
            from stored
        ), blocks as (
            {full_blocks("select * from rows where not is_dead", "inside")}
        ), within as (
            select symbol, block, alike as inside from blocks
            window w as (partition by symbol order by block)
            qualify lag(block) over w = block - 1 and lag(alike) over w = alike
                and lead(block) over w = block + 1 and lead(alike) over w = alike
        ), numbered as (
            select symbol, ts, inside, is_dead, first, last, "partition", "offset"
            from rows anti join within
                on rows.symbol = within.symbol and {block_of("rows.first")} = within.block
                    and not rows.is_dead
            where first is not null
            union all by name
            select symbol, inside, false as is_dead,
                {first_of("block")} as first, {last_of("block")} as last from within
            union all by name
            select *, false as inside from ({elsewhere})
        ), ordered as (
            select symbol, ts, inside, is_dead, first, last,
                if(lag("partition") over w = "partition", lag("offset") over w, null) as low,
                "partition", "offset" as high,
                max(last) over (w rows between unbounded preceding and 1 preceding) as before,
                lag(ts ignore nulls) over w as before_ts
            from numbered
            window w as (partition by symbol order by first, last, ts)
        ), numbers as (
            select symbol, min(first) as first_id, max(last) as last_id,
                arg_min(before is not null, first) as follows,
                sum(greatest(last - greatest(first - 1, coalesce(before, first - 1)), 0))
                    filter (not is_dead)::bigint as observed,
                coalesce(sum(first - 1 - before) filter ({gap}), 0)::bigint as missing,
                count_if({gap}) as gap_count,
                list(
                    {{'first': before + 1, 'last': first - 1, 'start': before_ts, 'end': ts,
                        'partition': "partition", 'low': low, 'high': high}}
                    order by first - before desc, first
                ) filter ({gap}) [1:{MAX_GAPS}] as gaps
            from ordered where inside group by all
        ), seconds as (
            select symbol, epoch_us(ts) // 1000000 as second, min(ts) as first, max(ts) as last,
                count_if(is_trade) as n
            from rows where inside and not is_dead group by all
        ), silences as (
            select *, epoch_us(first) - coalesce(
                lag(epoch_us(last)) over (partition by symbol order by second),
                epoch_us({literal(hour)})) as silence
            from seconds
        ), counts as (
            select symbol, sum(n)::bigint as trades, min(first) as first_at, max(last) as last_at,
                greatest(
                    max(silence), epoch_us(least({literal(end)}, greatest({literal(now)}, max(last))))
                    - max(epoch_us(last))
                ) / 1e6 as silence
            from silences group by all
        )
        select * from counts left join numbers using (symbol) order by symbol
    """  # noqa: S608 — our own SQL


def unreadable_between(gaps: str, letters: str, bronze: str) -> str:
    """Return the SQL for how many dead letters without a number lie between the trades around each gap.

    ``gaps`` have a place and, of the two trades, the partition and the offsets ``low`` and ``high``. Records
    of one market have one key.
    """
    return f"""
        with gaps as ({gaps}), wanted as (
            select "partition", "offset", true as is_dead from ({letters}) where message_id is null
            union all
            select distinct "partition", high, false from gaps
        ), keyed as (
            select "partition", "offset", key, is_dead
            from ({bronze}) join wanted using ("partition", "offset")
        )
        select place, count(*) as n
        from gaps g
            join keyed trade on trade."partition" = g."partition" and trade."offset" = g.high
                and not trade.is_dead
            join keyed dead on dead.is_dead and dead."partition" = g."partition"
                and dead."offset" between g.low and g.high and dead.key = trade.key
        group by all
    """  # noqa: S608 — our own SQL


def extents(exchange: Exchange, silver: str) -> str:
    """Return the SQL for each market's smallest and largest number."""
    first, last = _numbers(exchange)
    return f"""
        select symbol, min(first) as low, max(coalesce(last, first)) as high
        from (select symbol, {first} as first, {last} as last from ({silver}))
        where first is not null group by all
    """  # noqa: S608 — our own SQL


def islands(exchange: Exchange, silver: str) -> str:
    """Return the SQL for the ranges of numbers that each market's trades have, without a hole in any."""
    first, last = _numbers(exchange)
    return f"""
        with rows as not materialized (
            select symbol, {first} as first, coalesce({last}, {first}) as last from ({silver})
        ), blocks as (
            {full_blocks("from rows")}
        ), numbered as (
            select symbol, first, last from rows anti join blocks
                on rows.symbol = blocks.symbol and {block_of("rows.first")} = blocks.block
            where first is not null
            union all
            select symbol, {first_of("block")}, {last_of("block")} from blocks
        ), marked as (
            select *, coalesce(
                first > 1 + max(last) over (
                    partition by symbol order by first, last
                    rows between unbounded preceding and 1 preceding),
                true) as is_new
            from numbered
        ), grouped as (
            select *, count_if(is_new) over (
                partition by symbol order by first, last rows unbounded preceding) as island
            from marked
        )
        select symbol, min(first) as first, max(last) as last
        from grouped group by symbol, island
    """  # noqa: S608 — our own SQL


def _numbers(exchange: Exchange) -> tuple[str, str]:
    numbering = exchange.numbering
    nothing = "null::bigint"
    return (nothing, nothing) if numbering is None else (numbering.first, numbering.last)
