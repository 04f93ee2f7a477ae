"""Rows of ports that nobody has: tests beside each other must not take each other's."""

from k2.home.ports import free_port, is_free


def free_row(count: int) -> int:
    """Return the first of ``count`` free loopback ports in a row.

    They lie below what systems give to whoever asks for any port, as other tests do all the time.
    """
    for _ in range(100):
        first = free_port()
        if all(is_free(first + place) for place in range(1, count)):
            return first
    raise AssertionError(f"no {count} free ports in a row")
