"""``python -m tests.siege.outside``: a TLS port as ``openssl s_client`` sees it, which shares no code with dkv.

It looks for what scanners look for: old versions, weak ciphers, renegotiation, compression, sessions that are resumed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.siege.fortress import Fortress

OPENSSL = "openssl"
SECONDS = 20.0
GOODBYE = "QUIT\r\n\r\n"
"""A client is answered, and its connection closed. For a peer and for an admin port it is no request: the same end."""

RESUMPTIONS = 3
ANY = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
"""Every cipher that this OpenSSL has. Without the last words it would not even ask for old versions."""

VERSIONS = ("tls1", "tls1_1", "tls1_2", "tls1_3")
TITLES = {"tls1": "TLS 1.0", "tls1_1": "TLS 1.1", "tls1_2": "TLS 1.2", "tls1_3": "TLS 1.3"}

_CIPHER = re.compile(r"^New, (?:\S+), Cipher is (\S+)$", re.MULTILINE)
_DONE = re.compile(r"^(?:New|Reused), ", re.MULTILINE)
_ALERT = re.compile(r"alert [a-z ]+(?=:)|wrong version number|unexpected eof|no protocols available|no cipher match")


@dataclass(frozen=True, slots=True)
class Door:
    """A TLS port, and what a client shows there."""

    host: str
    port: int
    ca: Path
    shown: Sequence[str] = ()
    """``-cert`` and ``-key`` with their files, if the port asks for a certificate."""

    def look(self, *options: str, said: str = "", stays: bool = False) -> str:
        """What ``s_client`` prints with these options when it then says ``said``, and whether it ``stays`` until the
        port has closed."""
        command = [OPENSSL, "s_client", "-connect", f"{self.host}:{self.port}", "-CAfile", str(self.ca)]
        tail = ("-ign_eof",) if stays else ()
        done = subprocess.run(
            [*command, *self.shown, *options, *tail], input=said, capture_output=True, text=True, timeout=SECONDS
        )
        return done.stdout + done.stderr

    def cipher(self, *options: str) -> str:
        """The cipher on which the two agree; empty if there is none."""
        text = self.look(*options)
        found = _CIPHER.search(text)
        return "" if found is None or found[1] == "(NONE)" else found[1]

    # --- what is looked for ---

    def versions(self) -> dict[str, str]:
        """For each version of TLS the cipher that came of it, or why there is none."""
        return {version: self._version(version) for version in VERSIONS}

    def _version(self, version: str) -> str:
        suites = () if version == "tls1_3" else ("-cipher", ANY)
        text = self.look(f"-{version}", *suites)
        found = _CIPHER.search(text)
        if found is not None and found[1] != "(NONE)":
            return found[1]
        why = _ALERT.search(text)
        return f"refused ({why[0]})" if why else "refused"

    def ciphers(self) -> list[str]:
        """All ciphers of TLS 1.2 that the port takes: it is asked until it takes none of those that are left."""
        taken: list[str] = []
        while cipher := self.cipher("-tls1_2", "-cipher", ":".join((ANY, *(f"!{each}" for each in taken)))):
            if cipher in taken:
                raise ValueError(f"{cipher} again")
            taken.append(cipher)
        return taken

    def suites(self) -> list[str]:
        """The same for TLS 1.3."""
        known = subprocess.run([OPENSSL, "ciphers", "-s", "-tls1_3"], capture_output=True, text=True, check=True).stdout
        names = ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256", *re.findall(r"TLS_\w+", known)]
        return sorted({name for name in names if self.cipher("-tls1_3", "-ciphersuites", name)})

    def renegotiates(self) -> bool:
        """Whether a client of TLS 1.2 may begin its handshake anew in the middle of a connection."""
        text = self.look("-tls1_2", said="R\nPING\n")
        if "RENEGOTIATING" not in text:
            raise ValueError(f"s_client did not try: {text[-500:]}")
        return "no renegotiation" not in text and "alert" not in text and "error" not in text

    def resumed(self, version: str) -> int:
        """How many of ``RESUMPTIONS`` further connections took up the session of the first."""
        with tempfile.NamedTemporaryFile(prefix="dkv-session-") as session:
            self.look(f"-{version}", "-sess_out", session.name, said=GOODBYE, stays=True)
            if not Path(session.name).stat().st_size:
                return 0  # There is nothing to take up.
            texts = [
                self.look(f"-{version}", "-sess_in", session.name, said=GOODBYE, stays=True) for _ in range(RESUMPTIONS)
            ]
        return sum("Reused, " in text for text in texts)

    def strangers(self) -> dict[str, str]:
        """What becomes of a client without a certificate, for each version that the port takes."""
        bare = replace(self, shown=())
        return {
            version: _end_of(bare.look(f"-{version}", said=GOODBYE, stays=True)) for version in ("tls1_2", "tls1_3")
        }

    def tickets(self, version: str) -> int:
        """How many tickets the port hands out, by which a client would ask for its session.

        OpenSSL sends two with TLS 1.3 also where no session is kept, so they may be good for nothing.
        """
        words = "New Session Ticket arrived" if version == "tls1_3" else "TLS session ticket:"
        return self.look(f"-{version}", said=GOODBYE, stays=True).count(words)

    def report(self) -> Iterator[str]:
        """All of it, in lines."""
        for version, what in self.versions().items():
            yield f"{TITLES[version]:18} {what}"
        yield f"{'ciphers of TLS 1.2':18} {' '.join(self.ciphers()) or 'none'}"
        yield f"{'ciphers of TLS 1.3':18} {' '.join(self.suites()) or 'none'}"
        text = self.look("-tls1_2", "-showcerts", said="PING\n")
        yield f"{'key exchange':18} {_after(text, 'Server Temp Key: ') or _after(text, 'Peer Temp Key: ')}"
        yield f"{'compression':18} {_after(text, 'Compression: ')}"
        yield f"{'master secret':18} extended: {_after(text, 'Extended master secret: ')}"
        yield f"{'renegotiation':18} {'taken' if self.renegotiates() else 'refused'}"
        for version in ("tls1_2", "tls1_3"):
            resumed = f"{self.resumed(version)} of {RESUMPTIONS} resumed"
            yield f"{'sessions':18} {TITLES[version]}: {self.tickets(version)} tickets, {resumed}"
        early = _after(self.look("-tls1_3", said="PING\n"), "Early data was ") or "not sent"
        yield f"{'early data':18} {early}"
        yield f"{'certificates sent':18} {text.count('-----BEGIN CERTIFICATE-----')}, {_after(text, 'subject=')}"
        yield f"{'verification':18} {_after(text, 'Verify return code: ')}"
        ends = ", ".join(f"{TITLES[version]}: {end}" for version, end in self.strangers().items())
        yield f"{'no certificate':18} {ends}"


def _end_of(text: str) -> str:
    """How a conversation ended."""
    why = _ALERT.search(text)
    return f"refused ({why[0]})" if why else "let in"


def _after(text: str, words: str) -> str:
    """The rest of the line that has these words; empty if none has."""
    return text.partition(words)[2].partition("\n")[0].strip()


def main() -> None:
    """Look at the ports of a cluster that is started for this."""
    fortress = Fortress()
    try:
        fortress.start()
        node = fortress.fortress_nodes[0]
        pair = fortress.certificates.node(2, "look")
        shown = ("-cert", str(pair.certificate), "-key", str(pair.key))
        print(subprocess.run([OPENSSL, "version"], capture_output=True, text=True, check=True).stdout.strip())
        for name, port, shows in (
            ("client_tls", node.client_tls_port, ()),
            ("admin_tls", node.admin_tls_port, ()),
            ("peer", node.peer_port, shown),
        ):
            print(f"\n--- {name}")
            print(*Door(node.host, port, fortress.certificates.ca, shows).report(), sep="\n", flush=True)
    finally:
        fortress.close()


if __name__ == "__main__":
    main()
