"""Push, pull, list, search and revoke: one place for folders and registries alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardgan import files
from wardgan.combining.loading import open_file
from wardgan.errors import FormatError, HubError, OutputError, TrustError, UsageError
from wardgan.hub.choice import parcel_in
from wardgan.hub.entries import Broken, entries_of, order_of
from wardgan.hub.entry import Entry, entry_of, pieces
from wardgan.hub.folder import Folder
from wardgan.hub.moving import Watch, assemble, fetch, send, staging
from wardgan.hub.parcel import Parcel, parcel_of
from wardgan.hub.revocation import Revocation, revocation_of, revoke
from wardgan.hub.store import Store
from wardgan.hub.target import Target, default_hub, hub_of, is_revocation, name_for, release_in
from wardgan.seal.artifact import day_of

if TYPE_CHECKING:
    from wardgan.hub.site import Site

_NEXT: Final = 5


@dataclass(frozen=True)
class Pushed:
    """What came of a push.

    Attributes:
        target: Where the release is now.
        digest: Of the release.
        manifest: Digest of its manifest in the hub.
        sent: How many bytes were sent; those that were there are not sent again.
        new: Whether it was not there already.
        revoked: The revocation of this release, if there is one: then receivers refuse it.
    """

    target: str
    digest: str
    manifest: str
    sent: int
    new: bool
    revoked: Revocation | None = None


@dataclass(frozen=True)
class Pulled:
    """What came of a pull.

    Attributes:
        path: The file.
        entry: What it says of itself.
    """

    path: Path
    entry: Entry


class Hub:
    """Where releases are shared: a folder, an OCI registry, or the pages of a hub.

    Args:
        place: A folder such as `./hub`, the host of a registry such as `registry.hospital.example`, or the address of
            pages such as `https://hub.hospital.example` (a token is taken from `$WARDGAN_TOKEN`), perhaps with the
            beginning of all names behind a slash; `None` for that of `$WARDGAN_HUB`, or `./hub`.
        trust: Trust file, which says whose keys you know; `None` for the default one.
        plain_http: Whether another machine is spoken to without TLS, which lets everybody on the way read passwords.

    Raises:
        UsageError: It is neither.

    Example:
        >>> Hub("registry.hospital.example/cardio")
        Hub('registry.hospital.example/cardio')
    """

    def __init__(
        self, place: str | Path | Target | None = None, *, trust: str | Path | None = None, plain_http: bool = False
    ) -> None:  # fmt: skip
        self._hub = place if isinstance(place, Target) else hub_of(default_hub() if place is None else place)
        if self._hub.folder and plain_http:
            raise UsageError(f"plain_http: {self._hub.place!r} is a folder; this is for registries.")
        self._trust = trust
        self._plain = plain_http

    def __repr__(self) -> str:
        return f"Hub({str(self._hub)!r})"

    @property
    def place(self) -> str:
        """The folder, or the host with the beginning of all names."""
        return str(self._hub)

    @classmethod
    def at(cls, target: Target, *, trust: str | Path | None = None, plain_http: bool = False) -> Hub:
        """Gives the hub of a target.

        Args:
            target: Where a release is.
            trust: Trust file; `None` for the default one.
            plain_http: Whether a registry is spoken to without TLS.
        """
        return cls(Target(target.place, target.folder), trust=trust, plain_http=plain_http)

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        """Gives the hub for as long as something is done with it."""
        store = self._store()
        try:
            yield store
        finally:
            store.close()

    def _store(self) -> Store:
        if self._hub.folder:
            return Folder(self._hub.place)
        if self._hub.pages:
            raise UsageError(f"hub={self.place!r} shows releases and takes none; name its folder or its registry.")
        from wardgan.hub.registry import Registry

        return Registry(self._hub.place, plain=self._plain)

    @contextmanager
    def _asked(self) -> Iterator[Site]:
        """Gives the pages of the hub for as long as something is asked."""
        from wardgan.hub.site import Site

        site = Site(self._hub.place, trust=self._trust, plain_http=self._plain)
        try:
            yield site
        finally:
            site.close()

    def push(
        self, path: str | Path, name: str | None = None, *, force: bool = False, unsigned: bool = False,
        watch: Watch | None = None,
    ) -> Pushed:  # fmt: skip
        """Brings a release into the hub. Nobody sees anything of it before all of it is there.

        Args:
            path: A `.hgan` file.
            name: Name and tag, such as `cardio/sprint:1.0`. Without a tag it gets the next whole number; without a
                name, that of its data set.
            force: Whether another release under that tag may be replaced.
            unsigned: Whether an unsigned file may be shared, which receivers refuse.
            watch: Is called with (bytes done, bytes, what is sent).

        Raises:
            TrustError: The file is unsigned.
            HubError: The hub cannot be reached or refuses, or has another release under that tag.
            OutputError: The hub is a folder that cannot be written.
        """
        if force and (name is None or self._target(name).tag is None):
            raise UsageError("force: say which tag shall be replaced, such as cardio/sprint:1.0.")
        found = open_file(path, self._trust, required=False)
        if found.signature.status == "unsigned" and not unsigned:
            raise TrustError(
                f"path={str(path)!r} is unsigned, and receivers refuse that; release it with --key, or share it "
                "nevertheless (--unsigned, unsigned=True)."
            )
        packed = parcel_of(path)
        parcel, title = packed.parcel, found.facts.card.name if found.facts else found.generator.schema.name
        target = self._target(name or name_for(title))
        with self._opened() as store:
            sent = send(store, str(target.name), path, packed, watch or _nothing)
            tag, new = self._publish(store, target, parcel, force=force)
            revoked = revocation_of(store, str(target.name), parcel.release, self._trust)
        where = str(Target(target.place, target.folder, target.name, tag))
        return Pushed(where, parcel.release, parcel.digest, sent, new, revoked)

    def pull(
        self, name: str, path: str | Path | None = None, *, any_signer: bool = False, even_revoked: bool = False,
        force: bool = False, watch: Watch | None = None,
    ) -> Pulled:  # fmt: skip
        """Gives the file of a release, checked: every digest, the signature, and everything that `load` checks.

        What has come stays beside the file until all is there, so that a stopped pull goes on where it was.

        Args:
            name: Such as `cardio/sprint:1.0`; without a tag the newest. `@sha256:...` behind it says which it must be.
            path: The file that is wanted; `None` for one with its name and tag, in the current folder.
            any_signer: Whether an unsigned file, or one with an unknown key, may pass, this time.
            even_revoked: Whether a release may pass that was taken back.
            force: Whether an existing file may be replaced.
            watch: Is called with (bytes done, bytes, what is fetched).

        Raises:
            TrustError: It is not signed by a key of the trust file, wrongly signed, or revoked.
            HubError: The hub cannot be reached or refuses, or has no such release.
            ArtifactError: Bytes do not match their digest, or the file is not in order.
            OutputError: The file exists or cannot be written.
        """
        target = self._target(name)
        if self._hub.pages:
            with self._asked() as site:
                wanted, entry = site.pull(
                    target, None if path is None else Path(path), watch or _nothing, any_signer=any_signer,
                    even_revoked=even_revoked, force=force,
                )  # fmt: skip
            return Pulled(wanted, entry)
        with self._opened() as store:
            tag, parcel = parcel_in(store, target)
            wanted = Path(f"{str(target.name).rpartition('/')[2]}-{tag}.hgan") if path is None else Path(path)
            files.check_new(wanted, force=force)
            # Who signed it, and what it consists of, is judged before its parts are fetched.
            required = not any_signer
            entry = entry_of(store, str(target.name), tag, parcel, self._trust, required=required, whole=True)
            if entry.revoked is not None and entry.revoked.holds and not even_revoked:
                raise TrustError(f"{target.name}:{tag} was revoked {entry.revoked}; do not use it.")
            with staging(wanted, parcel.digest) as staged:
                fetch(store, str(target.name), parcel, staged, watch or _nothing)
                self._check(parcel, staged, entry, required=required)
                # Checked once more as they are written: what was judged is what is there.
                with files.new_file(wanted, force=force) as out:
                    assemble(parcel, staged, out)
        return Pulled(wanted, entry)

    def _check(self, parcel: Parcel, staged: Path, entry: Entry, *, required: bool) -> None:
        """Reads a release that was fetched as every receiver does."""
        whole = staged / "whole.hgan"
        try:
            with whole.open("wb") as out:
                assemble(parcel, staged, out)
            if open_file(whole, self._trust, required=required).digest != entry.digest:
                raise FormatError(f"{entry.name}:{entry.tag}: its manifest is not that of the file that it names.")
            whole.unlink()
        except OSError as error:
            raise OutputError(f"path={str(staged.parent)!r} cannot be written: {error.strerror}.") from error

    def list(self) -> list[Entry | Broken]:
        """Gives all releases of the hub, by name, newest first.

        Raises:
            HubError: The hub cannot be reached, refuses, or does not tell what it has.
        """
        if self._hub.pages:
            return list[Entry | Broken](self._told(""))
        with self._opened() as store:
            return list(entries_of(store, self._hub.name, self._trust))

    def stamp(self) -> object | None:
        """Gives something that changes whenever a tag of the hub does; `None` if only reading all of it can tell."""
        with self._opened() as store:
            return store.stamp()

    def entries(self, known: Mapping[tuple[str, str], Entry]) -> list[Entry | Broken]:
        """Gives all releases of the hub with their schemas, and reads only what is new.

        Args:
            known: What was read before, by name and tag.

        Raises:
            HubError: The hub cannot be reached, refuses, or does not tell what it has.
        """
        with self._opened() as store:
            return list(entries_of(store, self._hub.name, self._trust, deep=True, known=known))

    def search(self, words: str) -> list[Entry]:
        """Gives the releases in which each of some words occurs: in names, columns, levels, units, terms.

        Args:
            words: Such as `blood pressure`; case does not matter.

        Raises:
            UsageError: There is no word.
            HubError: The hub cannot be reached, refuses, or does not tell what it has.
        """
        if not pieces(words):
            raise UsageError("words='' has no word to look for.")
        if self._hub.pages:
            return self._told(words)
        with self._opened() as store:
            every = list(entries_of(store, self._hub.name, self._trust, deep=True))
        found = [one for one in every if isinstance(one, Entry)]
        return [one for one in found if one.has(words)]

    def entry(self, name: str, *, deep: bool = True) -> Entry:
        """Gives what one release says of itself, without fetching it.

        Args:
            name: Such as `cardio/sprint:1.0`; without a tag the newest.
            deep: Whether its schema is read, too.

        Raises:
            HubError: The hub cannot be reached or refuses, or has no such release.
            ArtifactError: It is not in order.
        """
        target = self._target(name)
        if self._hub.pages:
            with self._asked() as site:
                return site.entry(target)
        with self._opened() as store:
            tag, parcel = parcel_in(store, target)
            return entry_of(store, str(target.name), tag, parcel, self._trust, deep=deep)

    def sample(
        self, name: str, n: int, path: str | Path, *, where: Sequence[str] = (), balance: str | None = None,
        seed: int | None = None, force: bool = False, watch: Watch | None = None,
    ) -> Path:  # fmt: skip
        """Has synthetic patients drawn behind the pages of a hub, also of a generator that does not leave it.

        Args:
            name: Such as `cardio/sprint:1.0`; without a tag the newest.
            n: How many patients, or images.
            path: The file that is wanted: `.csv` or `.parquet`, and for images `.npz`.
            where: Conditions as on the command line, such as `age=65..80`.
            balance: A label whose levels shall be equally frequent.
            seed: Replays them; `None` for a new one.
            force: Whether an existing file may be replaced.
            watch: Is called with (done, of how many, what is done).

        Raises:
            UsageError: The hub is a folder or a registry, the name of the file says no kind, or something that is asked
                for is none.
            HubError: The hub cannot be reached or refuses, or fails to make it.
            OutputError: The file exists or cannot be written.
        """
        target, kind = self._target(name), Path(path).suffix.lower().removeprefix(".")
        if not self._hub.pages:
            raise UsageError(f"hub={self.place!r} has no pages that draw; pull the release, and draw from it.")
        if kind not in ("csv", "parquet", "npz"):
            raise UsageError(f"path={str(path)!r}: its name must end with .csv, .parquet, or for images .npz.")
        asked: dict[str, object] = {"n": n, "where": list(where), "balance": balance or ""}
        asked |= {} if seed is None else {"seed": seed}
        with self._asked() as site:
            site.draw(target, Path(path), asked, kind, watch or _nothing, force=force)
        return Path(path)

    def _told(self, words: str) -> list[Entry]:
        with self._asked() as site:
            return site.entries(self._hub.name, words)

    def revoke(
        self, name: str, key: str | Path, reason: str, *, day: str | None = None, passphrase: bytes | None = None
    ) -> Entry:  # fmt: skip
        """Takes a release back: whoever pulls it is told, and refused.

        It stays in the hub, for those who must know what they used. It cannot be called back from those who have it.

        Args:
            name: Such as `cardio/sprint:1.0`, with its tag.
            key: Private key of whoever revokes: usually the one that signed the release.
            reason: Why, in one line.
            day: `YYYY-MM-DD`; `None` for today.
            passphrase: Of the key.

        Raises:
            UsageError: The tag is missing, the reason is empty, or the key cannot be used.
            HubError: The hub cannot be reached or refuses, has no such release, or it was revoked already.
        """
        target = self._target(name)
        if target.tag is None:
            raise UsageError(f"name={name!r}: say which tag is revoked, such as {target.name}:1.0.")
        with self._opened() as store:
            tag, parcel = parcel_in(store, target)
            # A hub must not choose what is revoked: what it says of the release is checked first.
            entry_of(store, str(target.name), tag, parcel, self._trust, whole=True)
            revoke(store, str(target.name), parcel, key, reason, day_of(day), passphrase=passphrase)
            return entry_of(store, str(target.name), tag, parcel, self._trust)

    def _target(self, name: str) -> Target:
        return release_in(self._hub, name)

    def _publish(self, store: Store, target: Target, parcel: Parcel, *, force: bool) -> tuple[str, bool]:
        """Gives a release its tag; the next whole number, if none is named. Gives the tag, and whether it is new."""
        name = str(target.name)
        for tried in range(1, _NEXT + 1):
            tags = [] if target.tag else store.tags(name)
            there = [tag for tag in tags if not is_revocation(tag) and store.manifest(name, tag) == parcel.data]
            if there:
                return max(there, key=order_of), False
            numbers = [int(tag) for tag in tags if tag.isdecimal() and len(tag) < 10]
            tag = target.tag or str(max(numbers, default=0) + 1)
            new = store.manifest(name, tag) != parcel.data
            try:
                store.publish(name, tag, parcel.data, replace=force)
            except HubError:
                # Somebody else took the number meanwhile.
                if target.tag is not None or tried == _NEXT:
                    raise
            else:
                return tag, new
        raise AssertionError  # pragma: no cover - the last try returns or raises


def _nothing(_done: int, _total: int, _title: str) -> None: ...
