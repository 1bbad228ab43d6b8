"""Having PostgreSQL's own pg_dump make a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from alir.errors import NotFound, SettingsInvalid, StoreUnavailable

PROGRAM: Final = "pg_dump"
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
#: What of its own words is shown; the last of them say why it ended.
_LONGEST_WORDS: Final = 500


class Address(NamedTuple):
    """Where a database is, fit for a command line, which everybody on the machine can read.

    Attributes:
        url: without a password.
        environment: variables that hold the password, where there is one.
    """

    url: str
    environment: Mapping[str, str]


def address_of(url: str) -> Address:
    """The address without its password.

    >>> address_of("postgresql://me:pass%20word@db:5433/alir")
    Address(url='postgresql://me@db:5433/alir', environment={'PGPASSWORD': 'pass word'})

    Raises:
        SettingsInvalid: it holds a secret that can be handed on in no other way.
    """
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(query)
    if "sslpassword" in given:
        raise SettingsInvalid(
            [
                "database: pg_dump cannot be told the sslpassword without showing it to everybody "
                "on this machine; use a key without a password for the backup"
            ]
        )
    found = given.get("password") or unquote(password)
    rest = [(name, value) for name, value in query if name != "password"]
    # libpq takes a plus for what it is, not for a space.
    options = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    bare = f"{parts.scheme}://{user}{at}{hosts}{parts.path}{options}"
    return Address(bare, {"PGPASSWORD": found} if found else {})


def program_for(major: int) -> str:
    """The pg_dump on PATH, where it can read a server of this major version.

    Raises:
        NotFound: there is none, or only one that is older than the server.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise NotFound(
            f"There is no pg_dump on PATH. Install PostgreSQL's client programs of version {major} "
            f"or newer (Debian: postgresql-client-{major}), or run it where they are."
        )
    asked = subprocess.run(  # noqa: S603 - whoever runs alir says in PATH which program that is
        [program, "--version"], capture_output=True, text=True, check=False
    )
    found = _VERSION.search(asked.stdout)
    if found is None or int(found[1]) < major:
        version = f"version {found[1]}" if found else "an unknown version"
        raise NotFound(
            f"{program} is of {version}, and cannot read a server of version {major}. Install "
            f"PostgreSQL's client programs of version {major} or newer (Debian: "
            f"postgresql-client-{major}), and put their folder first in PATH."
        )
    return program


def dump(program: str, url: str, to: Path) -> None:
    """Write the whole database, as of one moment, in the custom format of pg_restore.

    Raises:
        StoreUnavailable: that could not be done; what is at `to` is not whole.
        SettingsInvalid: as `address_of`.
    """
    address = address_of(url)
    ended = subprocess.run(  # noqa: S603 - as above
        [program, "--format=custom", "--no-password", f"--file={to}", f"--dbname={address.url}"],
        env={**os.environ, **address.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode != 0:
        said = " ".join(ended.stderr.split())[-_LONGEST_WORDS:]
        raise StoreUnavailable(f"the copy could not be made: {said or 'pg_dump was ended'}")
