"""The directory of ``dkv certs``: a CA, what it has issued and revoked, and the files that nodes and clients read.

| File | What it holds |
|---|---|
| ``ca.pem`` | the certificates of the CA, the newest first: two while one takes the place of another |
| ``ca.key`` | their private keys, in the same order |
| ``crl.pem`` | a list of what is revoked for each of them |
| ``issued.pem`` | every certificate that was ever issued, for revoking those of which no other copy is here |
| ``NAME.pem``, ``NAME.key`` | the certificate and the private key of a node (``node1``) or a client |

Every change is prepared in files of other names and then takes its place by renaming, so nobody reads half a file.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from dkv.storage.state_directories import sync_directory
from dkv.tls.authority import Authority, AuthorityError, Issued, UnknownKeyError, certificates, crls, uri_of

CA, CA_KEY, CRL, ISSUED = "ca.pem", "ca.key", "crl.pem", "issued.pem"
_RESERVED = re.compile(r"ca|crl|issued|node[0-9]+")
"""Names that no client may have here, as its files would be those of something else."""

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listed:
    """One certificate or list of the directory. ``kind`` is ``ca``, ``node``, ``client`` or ``crl``; ``state`` is
    ``ok``, ``expired``, ``revoked``, ``foreign`` if no CA of the directory has issued it, or ``missing`` for the list
    of a CA: then nobody knows when it ends."""

    name: str
    kind: str
    uri: str
    issuer: str
    ends: datetime | None
    state: str

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires; negative once it has."""
        return None if self.ends is None else (self.ends - now).days


class CertificateDirectory:
    """Reads and changes such a directory. All methods raise ``AuthorityError`` with one line for a person."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, path: Path, cluster: str, hosts: Mapping[int, Sequence[str]], clients: Sequence[str], days: int
    ) -> CertificateDirectory:
        """A new directory with a CA, the certificate of each node for its ``hosts``, and those of ``clients``: all of
        it, or nothing."""
        with _readable_errors(path):
            if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
                raise AuthorityError(f"{path} exists and is not an empty directory: nothing is overwritten")
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.absolute().parent))
            made = cls(place)
            try:
                authority = Authority.create(cluster)
                issued = {_node_name(node): authority.node(node, names, days) for node, names in hosts.items()}
                issued |= {_client_name(client): authority.client(client, days) for client in clients}
                made._write(_authority_files([authority]) | _issued_files(issued))
                os.rename(place, path)
                sync_directory(str(path.absolute().parent))
            except BaseException:
                with suppress(OSError):
                    for each in place.iterdir():
                        each.unlink()
                    place.rmdir()
                raise
        return cls(path)

    # --- what it has ---

    def authorities(self) -> list[Authority]:
        """The CAs whose keys are here, the newest first.

        Each must have its list: the next one would be empty, and what was revoked would be let in again.
        """
        bundle, keys, lists = self._read(CA), self._read(CA_KEY), self._read(CRL)
        self._certificates(CA)
        found, why = [], AuthorityError(f"there is no private key in {self.path / CA_KEY}")
        for key in _PRIVATE_KEY.findall(keys):
            try:
                found.append(Authority.load(bundle, key, lists))
            except UnknownKeyError as error:  # one of several, if a change of the CA was cut off between two files
                why = error
        if not found:
            raise why
        if not all(each.has_list for each in found):
            raise AuthorityError(
                f"{self.path / CRL} lacks the list of a CA, and a new one would forget what was revoked: put back the "
                f"file, of which each node has a copy"
            )
        return found

    def names(self) -> list[str]:
        """The names of all nodes and clients that have a certificate here: nodes by their number, then clients."""
        with _readable_errors(self.path):
            found = [
                each.stem
                for each in self.path.iterdir()
                if each.suffix == ".pem" and each.name not in (CA, CRL, ISSUED)
            ]
        return sorted(found, key=lambda name: (0, int(name[4:]), "") if _is_node(name) else (1, 0, name))

    def certificate(self, name: str) -> x509.Certificate:
        """The present certificate of a node or a client."""
        return self._certificates(f"{name}.pem")[0]

    def listed(self) -> list[Listed]:
        """All that expires: CAs, lists, nodes, clients. The keys need not be here."""
        authorities, lists = self._certificates(CA), crls(self._read(CRL, missing=b""))
        revoked = {(each.issuer, one.serial_number) for each in lists for one in each}
        now = datetime.now(UTC)
        rows = [
            _listed(f"{CA}", "ca", each, "expired" if each.not_valid_after_utc <= now else "ok") for each in authorities
        ]
        for crl in lists:
            ends = crl.next_update_utc or datetime.max.replace(tzinfo=UTC)
            rows.append(Listed(CRL, "crl", "", _common_name(crl.issuer), ends, "expired" if ends <= now else "ok"))
        for authority in authorities:
            if authority.subject not in {crl.issuer for crl in lists}:
                rows.append(Listed(CRL, "crl", "", _common_name(authority.subject), None, "missing"))
        for name in self.names():
            certificate = self.certificate(name)
            state = "ok"
            if (certificate.issuer, certificate.serial_number) in revoked:
                state = "revoked"
            elif certificate.not_valid_after_utc <= now:
                state = "expired"
            elif not any(_issued_by(each, certificate) for each in authorities):
                state = "foreign"
            rows.append(_listed(name, "node" if _is_node(name) else "client", certificate, state))
        return rows

    # --- changes ---

    def add_node(self, node: int, hosts: Sequence[str], days: int) -> None:
        """The certificate of one more node."""
        with self._locked():
            self._check_new(_node_name(node))
            self._add(_node_name(node), self.authorities()[0].node(node, hosts, days))

    def add_client(self, name: str, days: int) -> None:
        """The certificate of a client that may say it is the user ``name``."""
        with self._locked():
            self._check_new(_client_name(name))
            self._add(name, self.authorities()[0].client(name, days))

    def renew(self, name: str, days: int, hosts: Sequence[str] = ()) -> None:
        """Another certificate, with another key, by the newest CA, in place of the one that is here. The old one stays
        valid until it expires or is revoked. ``hosts`` replace those of a node."""
        with self._locked():
            old, authority = self.certificate(name), self.authorities()[0]
            if hosts and not _is_node(name):
                raise AuthorityError(f"{name} is a client: only the certificates of nodes name hosts")
            if hosts:
                self._add(name, authority.node(int(name[4:]), hosts, days))
            else:
                self._add(name, authority.renewed(old, days))

    def revoke(self, name: str) -> int:
        """Revoke every certificate that was issued to ``name`` and has not expired; how many that is."""
        with self._locked():
            authorities, present = self.authorities(), self.certificate(name)
            uri, now, revoked = uri_of(present), datetime.now(UTC), 0
            for each in (*self._issued(), present):
                if uri_of(each) != uri or each.not_valid_after_utc <= now:
                    continue
                for authority in authorities:
                    if authority.issued(each) and not authority.is_revoked(each):
                        authority.revoke(each)
                        revoked += 1
            if revoked:
                self._write({CRL: b"".join(each.crl() for each in authorities)})
            return revoked

    def add_authority(self) -> None:
        """A new CA beside the present one: what was issued stays valid, and what is issued from now on is of the new
        one."""
        with self._locked():
            authorities = self.authorities()
            if len(self._certificates(CA)) > 1:
                raise AuthorityError(f"{self.path / CA} has two CAs already: first end that change with drop-ca")
            self._write(_authority_files([Authority.create(authorities[0].cluster), *authorities]))

    def drop_authorities(self) -> int:
        """Leave only the newest CA; how many went. Refused while certificates here are of an older one."""
        with self._locked():
            newest, *older = self.authorities()
            others = len(_PRIVATE_KEY.findall(self._read(CA_KEY))) - 1  # older ones, and one without a certificate
            if not others:
                return 0
            left = [
                name
                for name in self.names()
                if not newest.issued(certificate := self.certificate(name))
                and not any(each.is_revoked(certificate) for each in older)
            ]
            if left:
                raise AuthorityError(f"still of an older CA: {', '.join(left)}; renew them and give them out first")
            files = _authority_files([newest])
            self._write({name: files[name] for name in (CA, CRL, CA_KEY)})  # first the CA: each must have its list
            return others

    # --- files ---

    def _add(self, name: str, issued: Issued) -> None:
        self._issued()  # a record that is cut off would lose what is written behind its end
        self._write(_issued_files({name: issued}, self._read(ISSUED)))

    def _check_new(self, name: str) -> None:
        for each in (self.path / f"{name}.pem", self.path / f"{name}.key"):
            if each.exists() or each.is_symlink():
                raise AuthorityError(f"{each} exists: `dkv certs renew {name}` replaces it")

    def _issued(self) -> list[x509.Certificate]:
        try:
            return self._certificates(ISSUED)
        except AuthorityError as error:
            raise AuthorityError(
                f"{error}. Put back a copy of it, or put all certificates that there are into it: what is not in it "
                f"cannot be revoked"
            ) from None

    def _certificates(self, name: str) -> list[x509.Certificate]:
        content = self._read(name)
        try:
            return certificates(content)
        except AuthorityError as error:
            raise AuthorityError(f"{self.path / name}: {error}") from None

    def _read(self, name: str, missing: bytes | None = None) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            if missing is not None and isinstance(error, FileNotFoundError):
                return missing
            raise AuthorityError(f"cannot read {self.path / name}: {error.strerror}") from None

    def _write(self, files: Mapping[str, bytes]) -> None:
        """Put ``files`` in the place of what is there. All are on disk before the first gets its name."""
        parts = {self.path / f".{name}.part": self.path / name for name in files}
        with _readable_errors(self.path):
            try:
                for (part, path), content in zip(parts.items(), files.values(), strict=True):
                    part.unlink(missing_ok=True)
                    mode = 0o600 if part.name.endswith(".key.part") else 0o644
                    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                        if path.exists():  # a node that runs as another user must be able to read the new one, too
                            os.chown(part, path.stat().st_uid, path.stat().st_gid)
                        file.write(content)
                        file.flush()
                        os.fsync(file.fileno())
                for part, path in parts.items():
                    os.rename(part, path)
            finally:
                for part in parts:
                    part.unlink(missing_ok=True)
            sync_directory(str(self.path))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """While entered, no other command changes the directory: of two lists of what is revoked one would be lost."""
        with _readable_errors(self.path):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuthorityError(f"{error.filename or path}: {error.strerror}") from None


def _authority_files(authorities: Sequence[Authority]) -> dict[str, bytes]:
    """The files of these CAs, the lists before the CAs: a node that reads them meanwhile must find a list for each CA,
    and may find more."""
    return {
        CA_KEY: b"".join(each.own.key_pem for each in authorities),
        CRL: b"".join(each.crl() for each in authorities),
        CA: b"".join(each.own.certificate_pem for each in authorities),
    }


def _issued_files(issued: Mapping[str, Issued], record: bytes = b"") -> dict[str, bytes]:
    """The files that change when these are issued; ``record`` has what was issued before."""
    if record and not record.endswith(b"\n"):
        record += b"\n"
    files = {ISSUED: record + b"".join(each.certificate_pem for each in issued.values())}
    for name, each in issued.items():
        files |= {f"{name}.key": each.key_pem, f"{name}.pem": each.certificate_pem}
    return files


def _node_name(node: int) -> str:
    return f"node{node}"


def _is_node(name: str) -> bool:
    return re.fullmatch(r"node[0-9]+", name) is not None


def _client_name(name: str) -> str:
    if _RESERVED.fullmatch(name):
        raise AuthorityError(f"a client cannot be called {name!r}: its files would be those of something else")
    return name


def _issued_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # whatever is wrong with it, this CA did not issue it
        return False
    return True


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _listed(name: str, kind: str, certificate: x509.Certificate, state: str) -> Listed:
    issuer = _common_name(certificate.issuer)
    return Listed(name, kind, uri_of(certificate), issuer, certificate.not_valid_after_utc, state)
