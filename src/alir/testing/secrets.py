"""What becomes of secrets: used fresh, shown nowhere."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alir.dispatch.ports import Sent
from alir.tables.secret import READ_AGAIN_AFTER
from alir.testing.asked import Asked
from alir.testing.broken import replaced, text_paths
from alir.testing.checks import Check
from alir.testing.clock import HandClock
from alir.testing.lines import FINGERPRINT, FRESH_SECRETS, NO_SECRETS, SAMPLES, SIGNED, hold
from alir.testing.messages import MAIN
from alir.testing.rig import Rig, dialect_of, secrets_of, sender_of
from alir.testing.samples import Answer
from alir.testing.sends import json_of, taken_of
from alir.testing.server import HANG_UP, Reply

#: What a changed secret is; it fits in a path and in a header.
NEW = "changed-meanwhile"


def all_of(asked: Asked) -> dict[str, str]:
    """Every secret of both senders."""
    return {
        f"{key} of sender {number}": secret
        for number in (1, 2)
        for key, secret in secrets_of(sender_of(asked, number)).items()
    }


def checks(asked: Asked) -> Iterator[Check]:
    """Everything about secrets."""
    yield Check("names of secrets", partial(_names, asked))
    yield Check("no secret in a repr", partial(_no_repr, asked))
    for answer in asked.answers:
        yield Check(f"no secret in what it raises: {answer.name}", partial(_raised, asked, answer))
    yield Check("no secret that the provider repeats", partial(_repeated, asked))
    yield Check("no secret in what it raises without an answer", partial(_raised_unanswered, asked))
    for key in asked.secrets:
        yield Check(f"fingerprint: {key}", partial(_fingerprint, asked, key))
        yield Check(f"read again: {key}", partial(_read_again, asked, key))
        yield Check(f"read again after a while: {key}", partial(_read_in_time, asked, key))
    yield Check("callback secret: read again", partial(_callback_secret, asked))


def _names(asked: Asked) -> None:
    one, two = (secrets_of(sender_of(asked, number)) for number in (1, 2))
    for key in (*asked.secrets, asked.callback_secret):
        hold(key in one, SAMPLES, f"{key} is no SecretText of the sender's table")
        hold(one[key] != two[key], SAMPLES, f"{key} is the same of both senders")
    hold(bool(asked.secrets), SAMPLES, "`secrets` names none")


def _no_repr(asked: Asked) -> None:
    with Rig(asked) as rig:
        rig.send(taken_of(asked).reply())
        shown = {"the provider": rig.provider}
        _shows_none(asked, {name: repr(one) + str(one) for name, one in shown.items()})
    others = {"the dialect": dialect_of(asked), "the sender's table": sender_of(asked)}
    _shows_none(asked, {name: repr(one) + str(one) for name, one in others.items()})


def _raised(asked: Asked, answer: Answer) -> None:
    with Rig(asked) as rig:
        end = rig.send(answer.reply()).end
    if not isinstance(end, Sent):
        _shows_none(asked, {"the exception": _all_that_it_says(end)})


def _repeated(asked: Asked) -> None:
    """Some say which token it is that they do not accept."""
    secrets = secrets_of(sender_of(asked))
    with Rig(asked) as rig:
        for answer in asked.answers:
            known = json_of(answer)
            for at in text_paths(known):
                for key in asked.secrets:
                    body = replaced(known, at, f"{secrets[key]} is not valid")
                    end = rig.send(Reply.http(answer.status, body, keep=True)).end
                    if not isinstance(end, Sent):
                        said = {f"the exception where {answer.name} repeats it": str(vars(end))}
                        _shows_none(asked, said)


def _raised_unanswered(asked: Asked) -> None:
    with Rig(asked) as rig:
        hung_up = rig.send(HANG_UP).end
        rig.stop_server()
        refused = rig.send(HANG_UP).end
    ends = {"hung up": hung_up, "connection refused": refused}
    _shows_none(asked, {name: _all_that_it_says(end) for name, end in ends.items()})


def _all_that_it_says(end: object) -> str:
    if not isinstance(end, BaseException):
        return repr(end)
    return repr(vars(end)) + "".join(traceback.format_exception(end))


def _shows_none(asked: Asked, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        for key, secret in all_of(asked).items():
            hold(secret not in text, NO_SECRETS, f"{key} stands in {name}")


def _fingerprint(asked: Asked, key: str) -> None:
    with Rig(asked) as rig:
        known, again = rig.provider.credentials(), rig.provider.credentials()
        rig.send(taken_of(asked).reply())
        after_a_send = rig.provider.credentials()
    stays = known == again == after_a_send
    hold(stays, FINGERPRINT, "it is another at the next call")
    with Rig(asked, changes={key: NEW}) as rig:
        changed = rig.provider.credentials()
    hold(changed != known, FINGERPRINT, f"it is the same with another {key}")
    secret = secrets_of(sender_of(asked))[key].encode()
    hold(secret not in known, FINGERPRINT, f"{key} stands in it")


def _read_again(asked: Asked, key: str) -> None:
    with _in_a_file(asked, key) as (path, changes), Rig(asked, changes=changes) as rig:
        _shows(asked, rig, path.read_text("utf-8"), key)
        known = rig.provider.credentials()
        path.write_text(NEW, "utf-8")
        rig.provider.refresh_credentials()
        changed = rig.provider.credentials()
        found = f"{key} changed in its file, and `credentials()` is the same after a refresh"
        hold(changed != known, FRESH_SECRETS, found)
        _shows(asked, rig, NEW, key)


def _read_in_time(asked: Asked, key: str) -> None:
    """Also where nobody says that it is bad."""
    with _in_a_file(asked, key) as (path, changes), Rig(asked, changes=changes) as rig:
        _shows(asked, rig, path.read_text("utf-8"), key)
        path.write_text(NEW, "utf-8")
        rig.clock.move(READ_AGAIN_AFTER + 1)
        _shows(asked, rig, NEW, key)


def _shows(asked: Asked, rig: Rig, secret: str, key: str) -> None:
    before = len(rig.requests)
    rig.send(taken_of(asked).reply())
    shown = any(asked.shows(request, secret) for request in rig.requests[before:])
    hold(shown, FRESH_SECRETS, f"a send does not show {key} as it stands now")


def _callback_secret(asked: Asked) -> None:
    key = asked.callback_secret
    clock = HandClock()
    with _in_a_file(asked, key) as (path, changes):
        old = path.read_text("utf-8")
        dialect = dialect_of(asked, {MAIN: sender_of(asked, changes=changes, clock=clock)})
        body = asked.callback([], 1)
        known = dialect.signed_by(asked.secured(body, old))
        hold(known == (MAIN,), SIGNED, f"{known} for the secret of {MAIN}")
        path.write_text(NEW, "utf-8")
        clock.move(READ_AGAIN_AFTER + 1)
        for secret, wanted in ((old, ()), (NEW, (MAIN,))):
            found = dialect.signed_by(asked.secured(body, secret))
            which = "new" if wanted else "old"
            said = f"{found} for the {which} {key} after it changed in its file"
            hold(found == wanted, FRESH_SECRETS, said)


@contextmanager
def _in_a_file(asked: Asked, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A file with the secret of that key, and the change of the table that has it read there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "secret")
        path.write_text(secrets_of(sender_of(asked))[key], "utf-8")
        yield path, {key: {"file": str(path)}}
