"""RSA keys for key stores that live as long as a test: real ones, no two alike, put together from primes found before.

A first start makes four, and looking for their eight primes is most of what a test's set-up costs. Every pair of known
primes is a key, so a hundred stores need thirty primes. Never for anything that is kept: keys that share a prime give
each other away.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import count

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


class RsaSupply:
    """Stands for a function that generates keys by algorithm."""

    def __init__(self, generate: Callable[[str], PrivateKeyTypes]) -> None:
        self._generate = generate
        self._lock = threading.Lock()
        self._pairs = self._found()

    def __call__(self, alg: str) -> PrivateKeyTypes:
        """A key nobody was given before."""
        if alg not in ("RS256", "PS256"):
            return self._generate(alg)
        with self._lock:
            p, q = next(self._pairs)
        e = 65537
        d = rsa.rsa_recover_private_exponent(e, p, q)
        numbers = rsa.RSAPrivateNumbers(
            p,
            q,
            d,
            rsa.rsa_crt_dmp1(d, p),
            rsa.rsa_crt_dmq1(d, q),
            rsa.rsa_crt_iqmp(p, q),
            rsa.RSAPublicNumbers(e, p * q),
        )
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)

    def _found(self) -> Iterator[tuple[int, int]]:
        known: list[int] = []
        for _ in count():
            made = self._generate("RS256")
            assert isinstance(made, rsa.RSAPrivateKey)
            numbers = made.private_numbers()
            for prime in (numbers.p, numbers.q):
                for other in known:
                    if (prime * other).bit_length() == made.key_size:
                        yield prime, other
                known.append(prime)
