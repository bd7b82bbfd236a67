"""Compiled loops: text to two bits a base, packed bases to codes and counts, counts to text.

All of them stand in this one file because numba's cache on disk is made anew when the file of a function changes, and
does not look at what that function calls in other files.

*Packed* bases are bytes, the first base in the highest bits of the first byte, A = 0, C = 1, G = 2, T = 3, so that the
codes of k-mers sort as their letters do; U is T. A *run* is a stretch of A, C, G and T with nothing between them but
line ends and blanks. Runs lie one after the other; `starts` holds where each begins and, at its end, where the last
one ends. Arrays of text and of packed bases are longer than what they hold by `SLACK` bytes, since they are read and
written 8 bytes at a time.

Loops stand where a slice could be assigned: numba takes two seconds to compile such an assignment.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oligolearn.kmers.compiled import compiled, intrinsic, ir, types

Bytes = NDArray[np.uint8]
Codes = NDArray[np.uint64]
Integers = NDArray[np.int64]

SLACK = 32
AT_ONCE = 32  # codes computed together, as vectors
# What one block of text leaves for the next. A FASTA file may be cut anywhere.
PHASE, LINE, RECORD, LETTERS, LETTERS_BEFORE, EMPTY, TAIL, TAIL_LENGTH = range(8)
LINE_START, NAME, SEQUENCE, COMMENT = range(4)
# A FASTQ file likewise: which of the four lines comes, the letters and qualities of the read so far.
WHICH, BEGUN, BASES, QUALITIES, LINES, ERROR = range(6)
NO_NAME, NO_PLUS, OTHER_LENGTH, NO_QUALITY = 1, 2, 3, 4
STATE_SIZE = 8

_ONE, _TWO, _THREE, _EIGHT, _WORD = (np.uint64(x) for x in (1, 2, 3, 8, 64))
_SIX, _ELEVEN, _SIXTEEN, _48, _63 = (np.uint64(x) for x in (6, 11, 16, 48, 63))
_LOW_BITS = np.uint64(0x0101010101010101)
_CODES = np.uint64(0x0303030303030303)
_LETTER_A = np.uint64(0x4141414141414141)
_CAPITALS = np.uint64(0xDFDFDFDFDFDFDFDF)
_PAIRS = np.uint64(0x000F000F000F000F)
_GATHER = np.uint64(0x1000010000100001)
_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_DIBITS = np.uint64(0x3333333333333333)
_HIGH_BITS = np.uint64(0x8080808080808080)
_LINE_ENDS = np.uint64(0x0A0A0A0A0A0A0A0A)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NEWLINE, _RETURN, _SPACE, _TAB = (np.uint8(ord(x)) for x in "\n\r \t")
_GREATER, _AT, _PLUS_SIGN, _ZERO, _SEMICOLON = (np.uint8(ord(x)) for x in ">@+0;")
_WORST, _BEST = np.uint8(33), np.uint8(126)  # qualities, as they are written


@intrinsic
def _load(typing_context: Any, array: Any, place: Any) -> Any:
    """Eight bytes from any place of a byte array, as they lie there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(array, place), generate


@intrinsic
def _store(typing_context: Any, array: Any, place: Any, value: Any) -> Any:
    """Put eight bytes to any place of a byte array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, place, types.uint64), generate


@intrinsic
def _swap_bytes(typing_context: Any, value: Any) -> Any:
    """Reverse the order of the bytes of a 64-bit word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def _trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Zeros below the lowest one of a 64-bit word, 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@compiled
def _after_line(text: Bytes, i: int, n: int) -> int:
    """Place after the next line end at or behind `i`, or ``n + 1``."""
    while i < n:
        other = _load(text, i) ^ _LINE_ENDS
        found = (other - _LOW_BITS) & ~other & _HIGH_BITS  # the lowest bit is right, higher ones need not be
        if found != 0:
            return min(i + np.int64(_trailing_zeros(found) >> _THREE), n) + 1
        i += 8
    return n + 1


@compiled
def fastq_to_fasta(text: Bytes, n: int, state: Integers, out: Bytes) -> int:
    """Copy names and sequences of four-line FASTQ, a ``>`` before each name.

    Parameters
    ----------
    text
        ``n`` bytes and `SLACK` more.
    state
        What the block before left (`WHICH` to `ERROR`); changed.
    out
        Filled; as long as `text`.

    Returns
    -------
    Number of bytes in `out`; reading stops at an error.
    """
    i = size = 0
    while i < n:
        which = state[WHICH]
        if not state[BEGUN]:
            if which == 0 and (text[i] == _NEWLINE or text[i] == _RETURN):  # empty lines after the last read
                state[LINES] += text[i] == _NEWLINE
                i += 1
                continue
            if which == 0 and text[i] != _AT:
                state[ERROR] = NO_NAME
                break
            if which == 2 and text[i] != _PLUS_SIGN:
                state[ERROR] = NO_PLUS
                break
        after = _after_line(text, i, n)
        stop, ended = min(after, n), after <= n
        letters = stop - i - ended
        if letters > 0 and text[i + letters - 1] == _RETURN:
            letters -= 1
        if which < 2:
            for step in range(0, stop - i, 8):
                _store(out, size + step, _load(text, i + step))
            if which == 0 and not state[BEGUN]:
                out[size] = _GREATER
            size += stop - i
        if which == 1:
            state[BASES] += letters
        elif which == 3:
            state[QUALITIES] += letters
            wrong = 0
            for j in range(i, i + letters):
                wrong += (text[j] < _WORST) | (text[j] > _BEST)
            if wrong > 0:
                state[ERROR] = NO_QUALITY
                break
        i = stop
        state[BEGUN] = not ended
        if ended:
            state[LINES] += 1
            state[WHICH] = (which + 1) % 4
            if which == 3:
                if state[QUALITIES] != state[BASES]:
                    state[ERROR] = OTHER_LENGTH
                    break
                state[BASES] = state[QUALITIES] = 0
    return size


@compiled
def pack(
    text: Bytes, n: int, k: int, state: Integers, others: Integers,
    packed: Bytes, starts: Integers, records: Integers, names: Integers,
) -> tuple[int, int]:  # fmt: skip
    """Pack the sequences in a block of FASTA text, leaving out runs of fewer than k bases.

    A run that goes on in the next block is there preceded by its last ``k - 1`` bases, so that each window is in one
    block, and in one only.

    Parameters
    ----------
    text
        ``n`` bytes and `SLACK` more.
    state
        What the block before left (`PHASE` to `TAIL_LENGTH`); changed.
    others
        ``(256,)``, how often each letter other than A, C, G, T and U was met; added to.
    packed, starts, records
        Filled: bases, runs, and the number of the record that each run belongs to.
    names
        Filled: where in the text the name line of each record begins.

    Returns
    -------
    Numbers of runs and of names.
    """
    phase, letters = state[PHASE], state[LETTERS]
    bases, left = np.uint64(state[TAIL]), np.uint64(state[TAIL_LENGTH])
    _store(packed, 0, _swap_bytes((bases << _ONE) << (_63 - _TWO * left)))
    byte = np.int64(left >> _TWO)  # where the next base goes: so many whole bytes and `left` bases
    left &= _THREE
    i = n_runs = n_names = run_start = 0
    while i < n:
        if phase == SEQUENCE:
            # Eight letters at a time up to the first that is no base: bits 1 and 2 of A, C, T, G in ASCII are
            # 0, 1, 2, 3, and the letter that a code stands for is compared with the letter there; U is T but for its
            # lowest bit, which does not count where the code is that of T.
            word = _load(text, i)
            codes = ((word >> _ONE) ^ (word >> _TWO)) & _CODES
            low, high = codes & _LOW_BITS, (codes >> _ONE) & _LOW_BITS
            expected = _LETTER_A + _TWO * low + _SIX * high + _ELEVEN * (low & high)
            other = ((word & _CAPITALS) ^ expected) & ~(low & high)
            m = min(_trailing_zeros(other) >> _THREE, np.uint64(n - i))
            pairs = ((codes << _TWO) | (codes >> _EIGHT)) & _PAIRS
            bases = (bases << (_TWO * m)) | (((pairs * _GATHER) >> _48) >> (_SIXTEEN - _TWO * m))
            left += m
            _store(packed, byte, _swap_bytes((bases << _ONE) << (_63 - _TWO * left)))
            byte += np.int64(left >> _TWO)
            left &= _THREE
            i += np.int64(m)
            letters += np.int64(m)
            if m == _EIGHT or i == n:
                continue
            letter = text[i]
            i += 1
            if letter == _NEWLINE:
                state[LINE] += 1
                phase = LINE_START
                continue
            if letter in (_RETURN, _SPACE, _TAB):
                continue
            others[letter] += 1
            letters += 1
        elif phase == LINE_START:
            if text[i] != _GREATER:
                phase = COMMENT if text[i] == _SEMICOLON else SEQUENCE
                continue
            names[n_names] = i
            n_names += 1
            phase = NAME
        else:
            i = _after_line(text, i, n)
            if i <= n:
                state[LINE] += 1
                phase = LINE_START
            continue
        # A run ends here, at a letter or a name; one too short for a window is taken back.
        place = 4 * byte + np.int64(left)
        if place - run_start >= k:
            starts[n_runs], records[n_runs] = run_start, state[RECORD] - 1
            n_runs += 1
            run_start = place
        else:
            byte, left = run_start >> 2, np.uint64(run_start & 3)
            bases = np.uint64(packed[byte]) >> (_EIGHT - _TWO * left)
        if phase == NAME:
            state[EMPTY] += state[RECORD] > 0 and letters == state[LETTERS_BEFORE]
            state[LETTERS_BEFORE] = letters
            state[RECORD] += 1
    place = 4 * byte + np.int64(left)
    state[PHASE], state[LETTERS] = phase, letters
    length = min(place - run_start, k - 1)
    state[TAIL_LENGTH], state[TAIL] = length, np.int64(_last_bases(packed, place, length))
    if place - run_start >= k:
        starts[n_runs], records[n_runs] = run_start, state[RECORD] - 1
        n_runs += 1
        run_start = place
    starts[n_runs] = run_start
    return n_runs, n_names


@compiled
def _last_bases(packed: Bytes, stop: int, length: int) -> np.uint64:
    """Code of the bases before `stop`, at most 30."""
    code = np.uint64(0)
    for place in range(stop - length, stop):
        code = (code << _TWO) | (np.uint64(packed[place >> 2]) >> np.uint64(6 - 2 * (place & 3))) & _THREE
    return code


@compiled
def _reverse_complement(word: np.uint64) -> np.uint64:
    """Of 32 bases; of k bases in the lowest bits, k in the highest."""
    word = _swap_bytes(~word)
    word = ((word & _NIBBLES) << np.uint64(4)) | ((word >> np.uint64(4)) & _NIBBLES)
    return ((word & _DIBITS) << _TWO) | ((word >> _TWO) & _DIBITS)


@compiled
def count_direct(packed: Bytes, starts: Integers, k: int, width: int, table: Bytes, wrapped: NDArray[np.uint32]) -> int:
    """Count k-mers, as they stand, by their codes, in counters of one byte: the table of k = 12 fits a large cache.

    For k below `width`, counters are those of longer words that begin with the k-mer, so that neighbouring
    windows of a monotonous sequence do not wait for one counter.

    Parameters
    ----------
    table
        ``(4 ** width,)``, width at most 12; added to.
    wrapped
        Filled with the codes whose counter went from 255 to 0, as often as it did.

    Returns
    -------
    Number of codes in `wrapped`.
    """
    shift = np.uint64(64 - 2 * width)
    mask = np.uint64(4**width - 1)
    of_k = mask ^ np.uint64(4 ** (width - k) - 1)
    n = 0
    for run in range(len(starts) - 1):
        place, stop = starts[run], starts[run + 1]
        while place + 16 + width - 1 <= stop:
            word = _swap_bytes(_load(packed, place >> 2)) << np.uint64(2 * (place & 3))  # 29 bases at least
            for j in range(16):
                code = (word >> (shift - np.uint64(2 * j))) & mask
                count = np.uint8(table[code] + np.uint8(1))  # 256 is 0
                table[code] = count
                if count == 0:
                    wrapped[n] = code
                    n += 1
            place += 16
        while place + k <= stop:
            word = _swap_bytes(_load(packed, place >> 2)) << np.uint64(2 * (place & 3))
            code = word >> shift
            if place + width > stop:
                code &= of_k
            count = np.uint8(table[code] + np.uint8(1))  # 256 is 0
            table[code] = count
            if count == 0:
                wrapped[n] = code
                n += 1
            place += 1
    return n


@compiled
def collect(
    totals: NDArray[np.uint32], first: int, over: Codes, over_counts: Codes, least: int, codes: Codes, counts: Any
) -> int:
    """List the codes that occur.

    Parameters
    ----------
    totals
        Of the code `first` and those that follow it.
    over, over_counts
        Codes from `first` on, ascending, and what is to be added to their totals.
    least
        Codes with a lower total are left out.
    codes, counts
        Filled, codes ascending; longer than `totals` by one.

    Returns
    -------
    Number of codes.
    """
    n = done = at = 0
    while done < len(totals):
        stop = len(totals)
        if at < len(over):
            stop = min(stop, np.int64(over[at]) - first)
        for place in range(done, stop):
            codes[n], counts[n] = first + place, totals[place]
            n += totals[place] >= least
        if stop < len(totals):
            total = totals[stop] + over_counts[at]
            codes[n], counts[n] = first + stop, total
            n += total >= least
            at += 1
        done = stop + 1
    return n


@compiled
def _window_codes(packed: Bytes, place: int, k: int, forward: np.uint64, codes: Codes) -> None:
    """Codes of the 32 windows that begin at `place`, a multiple of 4, and behind it.

    `forward` is 0 for the smaller of a k-mer and its reverse complement, all bits for the k-mer as it stands.
    """
    high = _swap_bytes(_load(packed, place >> 2))
    low = _swap_bytes(_load(packed, (place >> 2) + 8))
    other_high, other_low = _reverse_complement(low), _reverse_complement(high)
    shift = np.uint64(64 - 2 * k)
    mask = _ALL >> shift
    for j in range(AT_ONCE):
        s = np.uint64(2 * j)
        code = ((high << s) | ((low >> _ONE) >> (_63 - s))) >> shift
        other = ((other_low >> s) | ((other_high << _ONE) << (_63 - s))) & mask
        codes[j] = min(code, other | forward)


@compiled
def count_canonical(packed: Bytes, starts: Integers, k: int, table: Bytes, wrapped: NDArray[np.uint32]) -> int:
    """Count canonical k-mers as `count_direct` does those that stand there, `table` being ``(4 ** k,)``."""
    codes = np.empty(AT_ONCE, np.uint64)
    n = 0
    for run in range(len(starts) - 1):
        start, windows_end = starts[run], starts[run + 1] - k + 1
        for place in range(start & ~3, windows_end, AT_ONCE):
            _window_codes(packed, place, k, np.uint64(0), codes)
            if place >= start and place + AT_ONCE <= windows_end:  # a loop of known length is faster
                for j in range(AT_ONCE):
                    count = np.uint8(table[codes[j]] + np.uint8(1))
                    table[codes[j]] = count
                    if count == 0:
                        wrapped[n] = codes[j]
                        n += 1
                continue
            for j in range(max(0, start - place), min(AT_ONCE, windows_end - place)):
                count = np.uint8(table[codes[j]] + np.uint8(1))
                table[codes[j]] = count
                if count == 0:
                    wrapped[n] = codes[j]
                    n += 1
    return n


@compiled
def _chosen_codes(
    packed: Bytes, place: int, run: tuple[int, int], k: int, forward: np.uint64, low: np.uint64, width: np.uint64,
    codes: Codes,
) -> int:  # fmt: skip
    """Codes of the windows of a run that begin at `place` or up to 31 behind it, those from `low` on, `low` taken off.

    Codes that are `width` or more above `low` are left out. Returns how many there are.
    """
    _window_codes(packed, place, k, forward, codes)
    n = 0
    for j in range(max(0, run[0] - place), min(AT_ONCE, run[1] - k + 1 - place)):
        code = codes[j] - low
        codes[n] = code
        n += code < width
    return n


@compiled
def histogram(
    packed: Bytes, starts: Integers, k: int, canonical: bool, low: np.uint64, width: np.uint64, shift: int,
    counts: Integers,
) -> None:  # fmt: skip
    """Count windows by the high bits of their codes, ``(code - low) >> shift``, those from low to below low + width."""
    codes = np.empty(AT_ONCE, np.uint64)
    forward = np.uint64(0) if canonical else _ALL
    for r in range(len(starts) - 1):
        run = (starts[r], starts[r + 1])
        for place in range(run[0] & ~3, run[1] - k + 1, AT_ONCE):
            for j in range(_chosen_codes(packed, place, run, k, forward, low, width, codes)):
                counts[codes[j] >> np.uint64(shift)] += 1


@compiled
def scatter(
    packed: Bytes, starts: Integers, k: int, canonical: bool, low: np.uint64, width: np.uint64, shift: int,
    places: Integers, keys: Codes,
) -> None:  # fmt: skip
    """Put the codes that `histogram` counts, `low` taken off, where `places` says for each value of their high bits."""
    codes = np.empty(AT_ONCE, np.uint64)
    forward = np.uint64(0) if canonical else _ALL
    for r in range(len(starts) - 1):
        run = (starts[r], starts[r + 1])
        for place in range(run[0] & ~3, run[1] - k + 1, AT_ONCE):
            for j in range(_chosen_codes(packed, place, run, k, forward, low, width, codes)):
                code = codes[j]
                target = places[code >> np.uint64(shift)]
                keys[target] = code
                places[code >> np.uint64(shift)] = target + 1


_SMALL = 24  # fewer are sorted by insertion
_MOST_BITS = 13  # looked at together


@compiled
def _sort(keys: Codes, other: Codes, bits: int, stack: Integers, places: Integers) -> None:
    """Sort by the lowest `bits` bits, the highest of them first.

    `other` is as long as `keys`, `stack` has a row for 25 keys and one more, `places` holds ``2 ** 13``.
    """
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(keys), bits
    top = 1
    while top > 0:
        top -= 1
        start, stop, bits = stack[top, 0], stack[top, 1], stack[top, 2]
        digits = 1
        while digits < min(_MOST_BITS, bits) and (stop - start) >> digits > 1:
            digits += 1
        shift, mask = np.uint64(bits - digits), np.uint64((1 << digits) - 1)
        for digit in range(1 << digits):
            places[digit] = 0
        for i in range(start, stop):
            places[(keys[i] >> shift) & mask] += 1
        place = start
        for digit in range(1 << digits):
            size = places[digit]
            places[digit] = place
            place += size
        for i in range(start, stop):
            digit = (keys[i] >> shift) & mask
            place = places[digit]
            other[place] = keys[i]
            places[digit] = place + 1
        begin = start
        for digit in range(1 << digits):
            end = places[digit]
            if end - begin > _SMALL and bits > digits:
                for i in range(begin, end):
                    keys[i] = other[i]
                stack[top, 0], stack[top, 1], stack[top, 2] = begin, end, bits - digits
                top += 1
            else:
                for i in range(begin, end):
                    key, place = other[i], i
                    while place > begin and keys[place - 1] > key:
                        keys[place] = keys[place - 1]
                        place -= 1
                    keys[place] = key
            begin = end


@compiled
def sort_and_count(
    keys: Codes, bounds: Integers, bits: int, low: np.uint64, least: int, other: Codes, counts: Any
) -> int:
    """Sort keys, parts of which are in order among themselves, and keep each that occurs `least` times, once.

    Parameters
    ----------
    keys
        Changed: the codes that are kept, ascending, `low` added, come first.
    bounds
        Where parts begin, and where the last one ends.
    bits
        Keys of one part differ in their lowest `bits` bits.
    other
        As long as the longest part.
    counts
        Filled: how often each was there.

    Returns
    -------
    Number of codes that are kept.
    """
    stack = np.empty((len(other) // (_SMALL + 1) + 1, 3), np.int64)
    places = np.empty(1 << _MOST_BITS, np.int64)
    n = 0
    for part in range(len(bounds) - 1):
        start, stop = bounds[part], bounds[part + 1]
        if start == stop:
            continue
        _sort(keys[start:stop], other, bits, stack, places)
        i = start
        while i < stop:
            key, j = keys[i], i + 1
            while j < stop and keys[j] == key:
                j += 1
            keys[n] = key + low
            counts[n] = j - i
            n += j - i >= least
            i = j
    return n


@compiled
def format_rows(codes: Codes, counts: Any, k: int, four_letters: Codes, out: Bytes) -> int:
    """Write a line for each k-mer: its letters, a tab, its count.

    Parameters
    ----------
    four_letters
        ``(256,)``, the text of each byte of packed bases.
    out
        Filled; room for k + 22 bytes a row and `SLACK`.

    Returns
    -------
    Number of bytes.
    """
    size = 0
    for row in range(len(codes)):
        word = codes[row] << np.uint64(64 - 2 * k)
        for letter in range(0, k, 4):
            _store(out, size + letter, four_letters[word >> np.uint64(56)])
            word <<= _EIGHT
        size += k
        out[size] = _TAB
        size += 1
        rest, n_digits = counts[row] // 10, 1
        while rest > 0:
            rest //= 10
            n_digits += 1
        rest = counts[row]
        for digit in range(n_digits - 1, -1, -1):
            out[size + digit] = _ZERO + np.uint8(rest % 10)
            rest //= 10
        size += n_digits
        out[size] = _NEWLINE
        size += 1
    return size


@compiled
def list_windows(packed: Bytes, starts: Integers, k: int, canonical: bool, keys: Codes) -> None:
    """Fill `keys` with the codes of all windows in their order."""
    codes = np.empty(AT_ONCE, np.uint64)
    forward = np.uint64(0) if canonical else _ALL
    n = 0
    for r in range(len(starts) - 1):
        run = (starts[r], starts[r + 1])
        for place in range(run[0] & ~3, run[1] - k + 1, AT_ONCE):
            m = _chosen_codes(packed, place, run, k, forward, np.uint64(0), _ALL, codes)
            for j in range(m):
                keys[n + j] = codes[j]
            n += m


@compiled
def count_rows(keys: Codes, bounds: Integers, bits: int, counts: Integers, sizes: Integers) -> None:
    """Sort each row and keep each of its keys once.

    Parameters
    ----------
    keys
        Changed: the different keys of a row, ascending, come first in it.
    bounds
        ``(n_rows + 1,)``, where rows begin and where the last one ends.
    bits
        Keys differ in their lowest `bits` bits.
    counts
        As long as `keys`; filled: how often each was there.
    sizes
        ``(n_rows,)``, filled: how many different keys a row has.
    """
    longest = 0
    for row in range(len(sizes)):
        longest = max(longest, bounds[row + 1] - bounds[row])
    other = np.empty(longest, np.uint64)
    stack = np.empty((longest // (_SMALL + 1) + 1, 3), np.int64)
    places = np.empty(1 << _MOST_BITS, np.int64)
    for row in range(len(sizes)):
        start, stop = bounds[row], bounds[row + 1]
        if start < stop:
            _sort(keys[start:stop], other, bits, stack, places)
        i = n = start
        while i < stop:
            j = i + 1
            while j < stop and keys[j] == keys[i]:
                j += 1
            keys[n], counts[n] = keys[i], j - i
            n += 1
            i = j
        sizes[row] = n - start


@compiled
def count_words(
    here: Codes, there: Codes, counts: Integers, bounds: Integers, gapped: bool, masks: Codes, turned: Codes,
    vocabulary: Codes, order: Integers, places: NDArray[np.int32],
    columns: NDArray[np.int32], values: NDArray[np.float32], sizes: Integers,
) -> None:  # fmt: skip
    """Look up the words that the windows of each row count for, and add up the counts of equal ones.

    Parameters
    ----------
    here, there
        Windows of the rows and their reverse complements, as keys.
    counts, bounds
        How often each window was there, and where rows begin and the last one ends.
    masks, turned
        What makes words of a window and of its reverse complement, the smaller of which counts.
    vocabulary, order
        Keys of known words, ascending, and their columns.
    places
        The columns by key, -1 for none; empty where keys are too many for that.
    columns, values, sizes
        Filled: the entries of the rows, one row after the other, and how many each has.
    """
    sums = np.zeros(len(vocabulary), np.int64)
    n = 0
    for row in range(len(sizes)):
        begin = n
        for i in range(bounds[row], bounds[row + 1]):
            for m in range(len(masks)):
                if gapped:
                    word = min(here[i] & masks[m], there[i] & turned[m])
                else:
                    word = min(here[i] ^ masks[m], there[i] ^ turned[m])
                if len(places) > 0:
                    column = np.int64(places[word])
                else:
                    low, high = 0, len(vocabulary)
                    while low < high:
                        middle = (low + high) >> 1
                        if vocabulary[middle] < word:
                            low = middle + 1
                        else:
                            high = middle
                    column = np.int64(-1)
                    if low < len(vocabulary) and vocabulary[low] == word:
                        column = order[low]
                if column < 0:
                    continue
                if sums[column] == 0:
                    columns[n] = column
                    n += 1
                sums[column] += counts[i]
        for entry in range(begin, n):
            values[entry] = sums[columns[entry]]
            sums[columns[entry]] = 0
        sizes[row] = n - begin
