"""The unprivileged account under which Postgres runs when the supervisor is root, since Postgres refuses root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

CANDIDATES = ("tocsin", "nobody", "daemon")


class As(TypedDict, total=False):
    """The arguments of subprocess.Popen that name an account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine that is not root."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Gives one file or directory to the account."""
        os.chown(path, self.uid, self.gid)


def run_as(account: Account | None) -> As:
    """The arguments that make subprocess run something as the account, or as the current user."""
    return As(user=account.uid, group=account.gid, extra_groups=[]) if account else As()


def unprivileged(directory: Path) -> Account | None:
    """The account for data below `directory`: None for the current user, who is not root.

    As root it is the owner of the directory, or else the first of `tocsin`, `nobody` and `daemon` that exists. Raises
    LookupError when there is none.
    """
    if os.geteuid() != 0:
        return None
    owner = directory.stat().st_uid if directory.exists() else 0
    entries = {entry.pw_uid: entry for entry in pwd.getpwall()}
    if owner in entries and owner != 0:
        return _account(entries[owner])
    by_name = {entry.pw_name: entry for entry in entries.values()}
    for name in CANDIDATES:
        if name in by_name:
            return _account(by_name[name])
    raise LookupError(f"Postgres does not run as root, and none of {', '.join(CANDIDATES)} is a user here")


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
