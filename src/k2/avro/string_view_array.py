"""Make an Arrow column of texts that points into a buffer, without copying them.

Source: the Arrow columnar format, "Variable-size Binary View Layout": 16 bytes a text, its length, and
then the text itself up to twelve bytes, or its first four and where it is.
"""

import numpy as np
import pyarrow as pa

from k2.avro.payloads import Bools, Int64s, PayloadBuffer, Words

_INLINE = 12
_WORD = 8
_NOT_ASCII = np.uint64(0x8080808080808080)
_ONE, _BYTE, _HALF = np.uint64(1), np.uint64(8), np.uint64(32)


def string_view_array(
    payloads: PayloadBuffer, starts: Int64s, lengths: Int64s, valid: Bools
) -> pa.Array:
    """Return the texts (string_view) at these positions of the payloads; null where not ``valid``.

    They must be UTF-8 (:func:`are_utf8`) and in the first 2 GiB.
    """
    head = _first(payloads.words[starts], lengths)
    tail = _first(payloads.words[starts + _WORD], np.maximum(lengths - _WORD, 0))
    is_long = lengths > _INLINE
    views = np.empty((starts.size, 4), np.uint32)
    views[:, 0] = lengths
    views[:, 1] = head.astype(np.uint32)
    views[:, 2] = np.where(is_long, 0, head >> _HALF)  # 0: the first buffer
    views[:, 3] = np.where(is_long, starts.astype(np.uint64), tail)
    mask = None if valid.all() else pa.array(valid).buffers()[1]
    buffers = [mask, pa.py_buffer(views), pa.py_buffer(payloads.data)]
    return pa.Array.from_buffers(pa.string_view(), starts.size, buffers)


def are_utf8(payloads: PayloadBuffer, starts: Int64s, lengths: Int64s) -> Bools:
    """Tell which texts are UTF-8; ASCII is checked for all at once, other texts one by one."""
    good = np.ones(starts.size, np.bool_)
    odd = np.zeros(starts.size, np.bool_)
    rows, place = np.arange(starts.size), 0
    while rows.size:
        word = _first(payloads.words[starts[rows] + place], lengths[rows] - place)
        odd[rows] |= (word & _NOT_ASCII) != 0
        place += _WORD
        rows = rows[lengths[rows] > place]
    for row in np.flatnonzero(odd):
        text = payloads.data[starts[row] : starts[row] + lengths[row]].tobytes()
        try:
            text.decode()
        except UnicodeDecodeError:
            good[row] = False
    return good


def _first(words: Words, count: Int64s) -> Words:
    """The first bytes of words, with zeros in place of the others."""
    bits = np.minimum(count, _WORD - 1).astype(np.uint64) * _BYTE
    return np.where(count >= _WORD, words, words & ((_ONE << bits) - _ONE))
