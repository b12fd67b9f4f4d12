"""The fast side of the rules of ``rules``: UTF-8 in memory to units and windows, compiled by Numba.

A unit is a word with what has to be the same about it; a window is n units in a row. Every window has a key of 64 bits,
and one whose key the index knows is handed back to be confirmed against the text: a key proves nothing. Equal windows
have equal keys, so nothing is missed. ``rules`` says in plain Python what units are; tests hold the two together.

One file, as what Numba keeps of a function is made anew when the function's own file changes, and not when another does
whose functions it calls.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

WORDS, FOLDED, CODE, RENAMED = range(4)  # kinds of lexers

U = np.uint64
SEED, PRIME = U(0xCBF29CE484222325), U(0x100000001B3)  # FNV-1a
BASE = U(0x9E3779B97F4A7C15)  # of the polynomial over units
MIX1, MIX2 = U(0xBF58476D1CE4E5B9), U(0x94D049BB133111EB)  # splitmix64
SALT = U(0xD6E8FEB86659FD93)
NAME = U(0xA0761D6478BD642F)  # stands for an identifier
S27, S30, S31, S32, S52 = U(27), U(30), U(31), U(32), U(52)
ZERO, ONE = U(0), U(1)

SPACE, LEAD, PLAIN = 1, 2, 0
PAD = 8  # bytes behind a text that may be read
# Eight bytes at a time: what is below 0x21, or beyond ASCII, shows in the highest bit of its byte.
EACH, HIGH, REST, BLANKS = U(0x2121212121212121), U(0x8080808080808080), U(0x7F7F7F7F7F7F7F7F), U(0x2020202020202020)


def _table(spaces: str, leads: str) -> Any:
    found = np.zeros(256, np.uint8)
    for each in spaces:
        found[ord(each)] = SPACE
    for each in leads:
        found[ord(each)] = LEAD
    return found


# White space as ``str.split`` has it; beyond ASCII it begins with one of four bytes.
BLANK = _table("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ", "\xc2\xe1\xe2\xe3")
LETTER = np.array([at >= 128 or at == 95 or (at < 128 and chr(at).isalnum()) for at in range(256)], np.bool_)
compiled: Any = functools.partial(njit, cache=True, nogil=True, boundscheck=False)


@intrinsic  # type: ignore[untyped-decorator]
def _eight(context: Any, data: Any, at: Any) -> Any:
    """The eight bytes from ``at`` on, as they lie."""

    def load(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, given[0])
        place = builder.bitcast(builder.gep(array.data, [given[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(data, types.int64), load


@intrinsic  # type: ignore[untyped-decorator]
def _zeros(context: Any, value: Any) -> Any:
    """How many zeros the lowest bits are, up to the first one; 64 of 0."""

    def count(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), count


@compiled(inline="always")
def _wide_blank(data: Any, at: int, end: int) -> int:
    """How many bytes a white-space character beyond ASCII has that begins here; 0 where there is none."""
    first = data[at]
    if first == 0xC2:
        if at + 1 < end and (data[at + 1] == 0x85 or data[at + 1] == 0xA0):
            return 2
        return 0
    if at + 2 >= end:
        return 0
    second, third = data[at + 1], data[at + 2]
    if first == 0xE2:
        if second == 0x80 and (third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF) and third >= 0x80:
            return 3
        return 3 if second == 0x81 and third == 0x9F else 0
    if first == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    return 3 if first == 0xE3 and second == 0x80 and third == 0x80 else 0


@compiled(inline="always")
def _mixed(value: Any) -> Any:
    value = (value ^ (value >> S30)) * MIX1
    value = (value ^ (value >> S27)) * MIX2
    return value ^ (value >> S31)


@compiled
def lex_words(data: Any, at: int, end: int, starts: Any, ends: Any, hashes: Any) -> int:
    """Words between white space. Returns how many; ``starts`` and ``ends`` are their bytes."""
    count = 0
    while at < end:
        kind = BLANK[data[at]]
        if kind == SPACE:
            if data[at] == 32:
                other = _eight(data, at) ^ BLANKS
                at += _zeros((((other & REST) + REST) | other) & HIGH) >> 3
            else:
                at += 1
            continue
        if kind == LEAD:
            wide = _wide_blank(data, at, end)
            if wide:
                at += wide
                continue
        starts[count] = at
        hashed = SEED
        while at < end:
            eight = _eight(data, at)
            plain = _zeros(((eight - EACH) | eight) & HIGH) >> 3
            if at + plain > end:
                plain = end - at
            if plain == 8:
                hashed = (hashed ^ eight) * MIX1
                hashed ^= hashed >> S32
                at += 8
                continue
            if plain:
                hashed = (hashed ^ (eight & ((ONE << U(8 * plain)) - ONE))) * MIX1
                hashed ^= hashed >> S32
                at += plain
                if at >= end:
                    break
            kind = BLANK[data[at]]
            if kind == SPACE or (kind == LEAD and _wide_blank(data, at, end)):
                break
            hashed = (hashed ^ U(data[at])) * PRIME
            at += 1
        ends[count] = at
        hashes[count] = hashed
        count += 1
    return count


@compiled
def _beyond(data: Any, at: int, end: int, table: Any) -> int:
    """What a character beyond ASCII folds to, times eight, plus its bytes: of what is no UTF-8 one, as no letter."""
    first = int(data[at])
    size = 2 if 0xC2 <= first < 0xE0 else 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 1
    if size == 1 or at + size > end:
        return 1
    character = first & (0x7F >> size)
    for step in range(1, size):
        character = character << 6 | int(data[at + step]) & 63
    return int(table[character]) << 3 | size if character < len(table) else size


@compiled
def lex_folded(data: Any, at: int, end: int, starts: Any, ends: Any, hashes: Any, table: Any) -> int:
    """Letters and digits in a row; ``table`` has for each character what it folds to, 0 where it is neither."""
    count = 0
    while at < end:
        begin, hashed = at, SEED
        while at < end:
            byte = data[at]
            if byte < 0x80:
                folded, size = int(table[byte]), 1
            else:
                both = _beyond(data, at, end, table)
                folded, size = both >> 3, both & 7
            if not folded:
                break
            hashed = (hashed ^ U(folded)) * PRIME
            at += size
        if at > begin:
            starts[count], ends[count], hashes[count] = begin, at, hashed ^ (hashed >> S32)
            count += 1
        if at < end:
            at += size
    return count


@compiled
def _behind(data: Any, at: int, end: int, first: int, second: int, third: int) -> int:
    """Where the next of these bytes in a row ends, of two where ``third`` is 0; -1 where there is none."""
    while at < end:
        if data[at] == first and at + 1 < end and data[at + 1] == second:
            if not third:
                return at + 2
            if at + 2 < end and data[at + 2] == third:
                return at + 3
        at += 1
    return -1


@compiled(inline="always")
def _docstring(data: Any, at: int, end: int) -> int:
    """Where the opening quotes of a docstring end if one may begin here; 0 where not."""
    for _ in range(2):
        if at < end and (data[at] | 32) in (98, 102, 114, 117):  # b f r u
            at += 1
    if at + 2 < end and data[at] == data[at + 1] == data[at + 2] and (data[at] == 34 or data[at] == 39):
        return at + 3
    return 0


@compiled
def lex_code(data: Any, at: int, end: int, starts: Any, ends: Any, words: Any, before: Any) -> int:
    """Words and the punctuation before each, as ``rules._code`` has them; ``words`` and ``before`` are hashes of these.

    What is not closed is looked for once: ``open_``, a bit for each kind. ``begins``: 2 where a docstring may begin, 1
    behind the colon of a line.
    """
    count, punctuation, begins, open_ = 0, SEED, 2, 0
    while at < end:
        byte = data[at]
        kind = BLANK[byte]
        if kind == SPACE:
            if begins == 1 and (byte == 10 or byte == 13):
                begins = 2
            at += 1
            continue
        if kind == LEAD:
            wide = _wide_blank(data, at, end)
            if wide:
                at += wide
                continue
        if byte == 35 or (byte == 47 and at + 1 < end and data[at + 1] == 47):  # # and //
            while at < end and data[at] != 10 and data[at] != 13:
                at += 1
            continue
        if byte == 47 and at + 1 < end and data[at + 1] == 42 and not open_ & 1:  # /*
            closed = _behind(data, at + 2, end, 42, 47, 0)
            if closed >= 0:
                at = closed
                continue
            open_ |= 1
        if begins == 2:
            opened = _docstring(data, at, end)
            if opened:
                quote = data[opened - 1]
                of = 2 if quote == 34 else 4
                closed = -1 if open_ & of else _behind(data, opened, end, quote, quote, quote)
                if closed >= 0:
                    at, begins = closed, 0
                    continue
                open_ |= of
        begins = 1 if byte == 58 else 0  # :
        if not LETTER[byte]:
            punctuation = (punctuation ^ U(byte)) * PRIME
            at += 1
            continue
        starts[count], hashed = at, SEED
        while at < end and LETTER[data[at]]:
            if BLANK[data[at]] == LEAD and _wide_blank(data, at, end):
                break
            hashed = (hashed ^ U(data[at])) * PRIME
            at += 1
        ends[count], words[count], before[count] = at, hashed ^ (hashed >> S32), punctuation
        punctuation = SEED
        count += 1
    return count


@compiled(inline="always")
def _behind_punctuation(before: Any, word: Any) -> Any:
    return ((before ^ (before >> S32)) * MIX2) ^ word


@compiled
def join_punctuation(words: Any, before: Any, hashes: Any, count: int) -> None:
    """Of code: what a unit is that is not the first of its window."""
    for at in range(count):
        hashes[at] = _behind_punctuation(before[at], words[at])


@compiled
def same_names(data: Any, starts: Any, words: Any, back: Any, kept: Any, count: int, most: int) -> None:
    """``back``: how many units before this one the same name stands; 0 where none of ``most`` does, -1 of no name."""
    for at in range(count):
        back[at] = -1
        byte = data[starts[at]]
        if 48 <= byte <= 57:
            continue
        place = np.searchsorted(kept, words[at])
        if place < len(kept) and kept[place] == words[at]:
            continue
        back[at] = 0
        for steps in range(1, min(most, at + 1)):
            if words[at - steps] == words[at] and back[at - steps] >= 0:
                back[at] = steps
                break


@compiled(inline="always")
def _value(words: Any, back: Any, renamed: bool, at: int, begin: int) -> Any:
    """A unit's word, or of a name how far back the same one stands within the window: what renaming leaves."""
    if renamed and back[at] >= 0:
        return NAME * U(1 + (back[at] if back[at] <= at - begin else 0))
    return words[at]


@compiled
def _key(words: Any, hashes: Any, before: Any, back: Any, renamed: bool, begin: int, size: int) -> Any:
    """The key of one window."""
    rolled = _value(words, back, renamed, begin, begin)
    for at in range(begin + 1, begin + size):
        if renamed:
            rolled = rolled * BASE + _behind_punctuation(before[at], _value(words, back, renamed, at, begin))
        else:
            rolled = rolled * BASE + hashes[at]
    return _mixed(rolled + U(size) * SALT)


@compiled
def keys_of(words: Any, hashes: Any, before: Any, back: Any, renamed: bool, count: int, size: int, out: Any) -> None:
    """The keys of all windows of so many units. ``hashes``: see ``match``."""
    for begin in range(count - size + 1):
        out[begin] = _key(words, hashes, before, back, renamed, begin, size)


@compiled
def mark_first(words: Any, hashes: Any, before: Any, back: Any, renamed: bool, lengths: Any, firsts: Any) -> None:
    """Note in ``firsts`` how a window begins: its first unit, and behind 4,096 places its first four.

    Or as many as the shortest has; ``lengths`` are sorted.
    """
    firsts[int(_value(words, back, renamed, 0, 0) >> S52)] = True
    firsts[4096 + int(_key(words, hashes, before, back, renamed, 0, min(4, lengths[0])) >> S52)] = True


@compiled
def _place(key: Any, narrow: Any, heads: Any, keys: Any) -> int:
    """Where ``keys`` has this one, the first of equal ones; -1 where it has not."""
    head = key >> narrow
    for at in range(heads[head], heads[head + ONE]):
        if keys[at] == key:
            return at
    return -1


@compiled
def match(
    words: Any, hashes: Any, count: int, n: int, bits: Any, shift: Any, narrow: Any, heads: Any, keys: Any, found: Any,
    place: int,
) -> int:  # fmt: skip
    """Windows of n units whose key is in ``keys``; rows (first unit, units, key's place).

    ``hashes`` are those of units which are not the first of their window, ``words`` those of the first. Returns how
    many rows of ``found`` are used then, beginning with ``place``; where it is too small more than it has.
    """
    top = ONE
    for _ in range(n - 1):
        top *= BASE
    salt, rolled = U(n) * SALT, ZERO
    for at in range(min(n - 1, count)):
        rolled = rolled * BASE + hashes[at]
    for at in range(n - 1, count):  # each key from the one before
        begin = at - n + 1
        rolled = rolled * BASE + hashes[at]
        key = _mixed(rolled + salt + (words[begin] - hashes[begin]) * top)
        rolled -= hashes[begin] * top
        slot = key >> shift  # most keys that are not there do not pass
        if bits[slot >> U(3)] & (1 << (slot & U(7))):
            known = _place(key, narrow, heads, keys)
            if known >= 0:
                if place < len(found):
                    found[place, 0], found[place, 1], found[place, 2] = begin, n, known
                place += 1
    return place


@compiled
def match_renamed(
    words: Any, before: Any, back: Any, count: int, n: int, powers: Any, bits: Any, shift: Any, narrow: Any, heads: Any,
    keys: Any, found: Any, place: int,
) -> int:  # fmt: skip
    """As ``match``, with names by how far back the same one stands. ``powers``: of ``BASE``, n of them."""
    top = powers[n - 1]
    salt, rolled = U(n) * SALT, ZERO
    for at in range(count):
        begin = at - n + 1
        rolled = rolled * BASE + _behind_punctuation(before[at], _value(words, back, True, at, begin))
        if begin < 0:
            continue
        first = _value(words, back, True, begin, begin)
        whole = _behind_punctuation(before[begin], first)
        key = _mixed(rolled + salt + (first - whole) * top)
        rolled -= whole * top
        if back[begin] >= 0:  # the next of the same name is the first one from here on
            for other in range(begin + 1, at + 1):
                if back[other] == other - begin:
                    named = _behind_punctuation(before[other], NAME)
                    again = _behind_punctuation(before[other], NAME * U(1 + back[other]))
                    rolled += (named - again) * powers[at - other]
                    break
        slot = key >> shift
        if bits[slot >> U(3)] & (1 << (slot & U(7))):
            known = _place(key, narrow, heads, keys)
            if known >= 0:
                if place < len(found):
                    found[place, 0], found[place, 1], found[place, 2] = begin, n, known
                place += 1
    return place


@compiled
def match_short(
    words: Any, hashes: Any, before: Any, back: Any, renamed: bool, count: int, lengths: Any, firsts: Any, bits: Any,
    shift: Any, narrow: Any, heads: Any, keys: Any, found: Any, place: int,
) -> int:  # fmt: skip
    """As ``match``, of windows of each of ``lengths``; ``firsts`` tells how they begin."""
    few = min(4, lengths[0])
    for begin in range(count - few + 1):
        if not firsts[_value(words, back, renamed, begin, begin) >> S52]:
            continue
        if not firsts[4096 + int(_key(words, hashes, before, back, renamed, begin, few) >> S52)]:
            continue
        for size in lengths:
            if begin + size > count:
                break
            key = _key(words, hashes, before, back, renamed, begin, size)
            slot = key >> shift
            if bits[slot >> U(3)] & (1 << (slot & U(7))):
                known = _place(key, narrow, heads, keys)
                if known >= 0:
                    if place < len(found):
                        found[place, 0], found[place, 1], found[place, 2] = begin, size, known
                    place += 1
    return place


@compiled
def lex(
    kind: int, data: Any, at: int, end: int, n: int, folds: Any, kept: Any, starts: Any, ends: Any, words: Any,
    hashes: Any, before: Any, back: Any,
) -> int:  # fmt: skip
    """The units of a text by any rule, with all that ``match`` needs. Returns how many."""
    if kind == WORDS:
        return lex_words(data, at, end, starts, ends, words)
    if kind == FOLDED:
        return lex_folded(data, at, end, starts, ends, words, folds)
    count = lex_code(data, at, end, starts, ends, words, before)
    if kind == CODE:
        join_punctuation(words, before, hashes, count)
    else:
        same_names(data, starts, words, back, kept, count, n)
    return count


@compiled
def scan(
    kind: int, data: Any, offsets: Any, n: int, folds: Any, kept: Any, lengths: Any, firsts: Any, bits: Any,
    shift: Any, narrow: Any, heads: Any, keys: Any, starts: Any, ends: Any, words: Any, hashes: Any, before: Any,
    back: Any, found: Any,
) -> int:  # fmt: skip
    """Every window of every text whose key is known; rows (text, first byte, byte behind the last, key's place).

    Text i lies from ``offsets[i]`` to ``offsets[i + 1]``. Returns how many rows there are; where ``found`` is too small
    more than it has.
    """
    total = 0
    powers = np.empty(n, np.uint64)
    powers[0] = ONE
    for at in range(1, n):
        powers[at] = powers[at - 1] * BASE
    others, renamed = hashes if kind == CODE else words, kind == RENAMED
    for number in range(len(offsets) - 1):
        first, behind = offsets[number], offsets[number + 1]
        count = lex(kind, data, first, behind, n, folds, kept, starts, ends, words, hashes, before, back)
        if renamed:
            used = match_renamed(words, before, back, count, n, powers, bits, shift, narrow, heads, keys, found, total)
        else:
            used = match(words, others, count, n, bits, shift, narrow, heads, keys, found, total)
        if len(lengths):
            used = match_short(
                words, others, before, back, renamed, count, lengths, firsts, bits, shift, narrow, heads, keys, found,
                used,
            )  # fmt: skip
        for row in range(total, min(used, len(found))):
            begin, size = found[row, 0], found[row, 1]
            found[row, 3] = found[row, 2]
            found[row, 0], found[row, 1], found[row, 2] = number, starts[begin], ends[begin + size - 1]
        total = used
    return total


@compiled
def bands_of(keys: Any, multipliers: Any, rows: int, out: Any) -> None:
    """MinHash: for each of the multipliers the smallest product, and a key for so many of these together."""
    smallest = np.full(len(multipliers), np.uint32(0xFFFFFFFF), np.uint32)
    for key in keys:
        for at in range(len(multipliers)):
            product = np.uint32((key * multipliers[at]) >> S32)
            smallest[at] = min(smallest[at], product)
    for band in range(len(out)):
        rolled = U(band)
        for at in range(band * rows, (band + 1) * rows):
            rolled = rolled * BASE + U(smallest[at])
        out[band] = _mixed(rolled)


@compiled
def scan_similar(
    data: Any, offsets: Any, n: int, folds: Any, multipliers: Any, rows: int, bits: Any, shift: Any, narrow: Any,
    heads: Any, keys: Any, starts: Any, ends: Any, words: Any, hashes: Any, back: Any, bands: Any, found: Any,
) -> int:  # fmt: skip
    """As ``scan``, of whole texts: rows for each band that the index knows."""
    total = 0
    for number in range(len(offsets) - 1):
        count = lex_folded(data, offsets[number], offsets[number + 1], starts, ends, words, folds)
        if count < n:
            continue
        keys_of(words, words, words, back, False, count, n, hashes)
        bands_of(hashes[: count - n + 1], multipliers, rows, bands)
        for band in bands:
            slot = band >> shift
            known = _place(band, narrow, heads, keys) if bits[slot >> U(3)] & (1 << (slot & U(7))) else -1
            if known >= 0:
                if total < len(found):
                    found[total, 0], found[total, 1] = number, starts[0]
                    found[total, 2], found[total, 3] = ends[count - 1], known
                total += 1
    return total


@compiled
def _behind_blanks(data: Any, at: int, end: int) -> int:
    while at < end:
        kind = BLANK[data[at]]
        if kind == PLAIN:
            break
        size = 1 if kind == SPACE else _wide_blank(data, at, end)
        if not size:
            break
        at += size
    return at


@compiled
def whole_end(data: Any, at: int, end: int, field: Any, place: int, behind: int) -> int:
    """Where the words of ``field[place:behind]`` end if ``data[at:end]`` begins with all of them; -1 where it does not.

    Both begin with a word.
    """
    last = -1
    while place < behind:
        while place < behind:
            kind = BLANK[field[place]]
            if kind == SPACE or (kind == LEAD and _wide_blank(field, place, behind)):
                break
            if at >= end or data[at] != field[place]:
                return -1
            at += 1
            place += 1
        last = at
        place, at = _behind_blanks(field, place, behind), _behind_blanks(data, at, end)
        if at == last and at < end:
            return -1  # its word is longer
    return last


@compiled
def same_bytes(data: Any, places: Any, heads: Any) -> Any:
    """Of each place whether its bytes are those of the place that ``heads`` names."""
    same = np.empty(len(places), np.bool_)
    for at in range(len(places)):
        first, behind = int(places[at, 0]), int(places[at, 1])
        other = int(places[heads[at], 0])
        same[at] = behind - first == int(places[heads[at], 1]) - other
        step = 0
        while same[at] and step < behind - first:
            same[at] = data[first + step] == data[other + step]
            step += 1
    return same
