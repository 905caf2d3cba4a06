"""Binary BCH codes over GF(2^7), shortened, as TrustMark uses them: systematic encoding, algebraic decoding.

Source: Lin and Costello, Error Control Coding, 2nd ed., chapter 6; polynomial x^7 + x^3 + 1 as in adobe/trustmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FIELD_BITS: Final = 7
ORDER: Final = (1 << FIELD_BITS) - 1
_POLYNOMIAL: Final = 0b10001001


class BCHCode:
    """A code that corrects up to ``t`` wrong bits of a word of at most 127; immutable.

    Args:
        t: 1 to 8.
    """

    def __init__(self, t: int) -> None:
        self.t = t
        self._power = [1] * (2 * ORDER)
        for i in range(1, 2 * ORDER):
            doubled = self._power[i - 1] << 1
            self._power[i] = doubled ^ _POLYNOMIAL if doubled >> FIELD_BITS else doubled
        self._log = {value: i for i, value in enumerate(self._power[:ORDER])}
        roots = {(odd << shift) % ORDER for odd in range(1, 2 * t, 2) for shift in range(FIELD_BITS)}
        generator = [1]  # coefficients, lowest degree first
        for root in sorted(roots):
            shifted = [0, *generator]
            scaled = [*(self._times(c, self._power[root]) for c in generator), 0]
            generator = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
        self._generator = generator[::-1]
        self.check_bits = len(generator) - 1

    def _times(self, a: int, b: int) -> int:
        return self._power[self._log[a] + self._log[b]] if a and b else 0

    def _over(self, a: int, b: int) -> int:
        return self._power[self._log[a] - self._log[b] + ORDER] if a else 0

    def checks(self, data: Sequence[int]) -> list[int]:
        """Return the check bits of data bits, first bit = highest degree."""
        register = [*data, *([0] * self.check_bits)]
        for place in range(len(data)):
            if register[place]:
                for i, coefficient in enumerate(self._generator):
                    register[place + i] ^= coefficient
        return register[len(data) :]

    def correct(self, word: Sequence[int]) -> tuple[list[int], int] | None:
        """Return (corrected word, bits changed), or None when no code word is within ``t`` bits.

        Args:
            word: data bits, then check bits.
        """
        length = len(word)
        ones = [length - 1 - place for place, bit in enumerate(word) if bit]
        syndromes = []
        for j in range(1, 2 * self.t + 1):
            value = 0
            for degree in ones:
                value ^= self._power[degree * j % ORDER]
            syndromes.append(value)
        if not any(syndromes):
            return list(word), 0
        locator = self._locator(syndromes)
        errors = len(locator) - 1
        if errors > self.t:
            return None
        fixed, found = list(word), 0
        for degree in range(length):
            value = 0
            for i, coefficient in enumerate(locator):
                value ^= self._times(coefficient, self._power[(ORDER - degree) * i % ORDER])
            if value == 0:
                fixed[length - 1 - degree] ^= 1
                found += 1
        return (fixed, found) if found == errors else None

    def _locator(self, syndromes: Sequence[int]) -> list[int]:
        """Return the error locator (Berlekamp-Massey), lowest degree first, without trailing zeros."""
        current, previous = [1], [1]
        errors, gap, last = 0, 1, 1
        for step, syndrome in enumerate(syndromes):
            discrepancy = syndrome
            for i in range(1, min(errors, len(current) - 1) + 1):
                discrepancy ^= self._times(current[i], syndromes[step - i])
            if discrepancy == 0:
                gap += 1
                continue
            factor = self._over(discrepancy, last)
            update = [0] * gap + [self._times(factor, c) for c in previous]
            size = max(len(current), len(update))
            joined = [
                (current[i] if i < len(current) else 0) ^ (update[i] if i < len(update) else 0) for i in range(size)
            ]
            if 2 * errors <= step:
                previous, last, gap, errors = current, discrepancy, 1, step + 1 - errors
            else:
                gap += 1
            current = joined
        while len(current) > 1 and current[-1] == 0:
            current.pop()
        return current
