"""The contract finds what is wrong: each provider here breaks one line, and that line is told."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import pytest
from tests.provider_contract.test_cloud import TestCloud as CloudContract
from tests.provider_contract.test_routemobile import TestRouteMobile as RouteMobileContract

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId, SenderName
from alir.messages.model import Message
from alir.observe import get_logger
from alir.outbound.http import NoAnswer
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.cloud.settings import CloudSender
from alir.providers.cloud.webhook import SIGNATURE_HEADER, CloudCallbacks
from alir.providers.registry import PROVIDERS
from alir.providers.routemobile.adapter import RouteMobileProvider
from alir.providers.tools import Tools
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackRequest
from alir.testing import lines
from alir.testing.broken import breaks
from alir.testing.lines import CONTRACT, ContractBroken, Line
from alir.testing.messages import a_message
from alir.testing.provider import ProviderContract, checks
from alir.testing.samples import Picked, refused
from alir.testing.server import Request

CLOUD = PROVIDERS["cloud"]

# Providers with one fault each


class NeverReady(CloudProvider):
    def is_ready(self) -> bool:
        return False


class GetsReadyBySending(CloudProvider):
    async def get_ready(self) -> None:
        with contextlib.suppress(SendFailure):
            await self.send(a_message(), 1)


class FailsToGetReady(CloudProvider):
    async def get_ready(self) -> None:
        raise OutcomeUnknown("No answer")


class SendsAgain(CloudProvider):
    """Repeats what came to nothing, as one does who follows redirects."""

    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except OutcomeUnknown:
            return await super().send(message, attempt)


class CallsNoAnswerBusy(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except OutcomeUnknown as error:
            if isinstance(error.__cause__, NoAnswer):
                raise ProviderBusy("No answer") from error
            raise


class CallsUnreachableUnknown(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except ProviderBusy as error:
            raise OutcomeUnknown("Perhaps") if error.__cause__ else error from error


class CallsAnything2xxSuccess(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except OutcomeUnknown as error:
            if error.provider_code == "HTTP 200":
                return Sent(ProviderId("made-up"))
            raise


class RefusesWhatIsBusy(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except ProviderBusy as error:
            raise ProviderRefused("No") if error.pauses else error from error


class RaisesSomethingElse(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except ProviderRefused as error:
            raise KeyError("code") from error


class DropsTheHeader(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        param = {key: value for key, value in message.flow["param"].items() if key != "header"}
        flow = {**message.flow, "param": param}
        return await super().send(message.but(flow=flow), attempt)


class SendsFromAnotherNumber(CloudProvider):
    def __init__(self, sender: CloudSender, tools: Tools) -> None:
        super().__init__(sender.model_copy(update={"phone_number_id": "1065550002"}), tools)


class IgnoresTheWait(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except ProviderBusy as error:
            error.retry_after = None
            raise


class MarksTheFirstAttemptOnly(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        return await super().send(message, 1)


class KeepsItsSecret(CloudProvider):
    """As it was when it was made."""

    def __init__(self, sender: CloudSender, tools: Tools) -> None:
        fixed = type(sender.access_token)(sender.access_token.reveal())
        super().__init__(sender.model_copy(update={"access_token": fixed}), tools)


class ForgetsToReadAgain(CloudProvider):
    def refresh_credentials(self) -> None:
        return


class GivesItsSecretAsFingerprint(CloudProvider):
    def credentials(self) -> bytes:
        return self._sender.access_token.reveal().encode()


class ShowsItsSecret(CloudProvider):
    def __repr__(self) -> str:
        return f"Provider({self._sender.access_token.reveal()})"


class RaisesItsSecret(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        try:
            return await super().send(message, attempt)
        except ProviderRefused as error:
            raise ProviderRefused("No", details=self._sender.access_token.reveal()) from error


#: What is tried, which line is found broken, and by which check.
FAULTY_PROVIDERS: list[tuple[type[CloudProvider], Line, str]] = [
    (NeverReady, lines.READY, "ready: what a send needs is fetched before it"),
    (NeverReady, lines.READY, "ready: nothing listens"),
    (GetsReadyBySending, lines.READY, "ready: what a send needs is fetched before it"),
    (FailsToGetReady, lines.READY, "ready: the answer is 401"),
    (SendsAgain, lines.ONE_REQUEST, "hung up after the request"),
    (SendsAgain, lines.ONE_REQUEST, "time is over"),
    (SendsAgain, lines.ONE_REQUEST, "server errors with a page"),
    (SendsAgain, lines.NO_REDIRECT, "redirects"),
    (CallsNoAnswerBusy, lines.NO_ANSWER, "hung up in the body"),
    (CallsNoAnswerBusy, lines.NO_ANSWER, "time is over"),
    (CallsUnreachableUnknown, lines.NEVER_CONNECTED, "connection refused"),
    (CallsAnything2xxSuccess, lines.UNKNOWN_ANSWER, "a success cut short"),
    (CallsAnything2xxSuccess, lines.UNKNOWN_ANSWER, "a success with something else in it"),
    (CallsAnything2xxSuccess, lines.UNKNOWN_ANSWER, "2xx that says nothing"),
    (RefusesWhatIsBusy, lines.KNOWN_ANSWER, "answer: busy, pauses account"),
    (RefusesWhatIsBusy, lines.SAME_CODE, "same code by receipt: busy, pauses account"),
    (RaisesSomethingElse, lines.ONLY_FAILURES, "refusals with something else in them"),
    (IgnoresTheWait, lines.KNOWN_ANSWER, "answer: busy, pauses sender"),
    (DropsTheHeader, lines.MESSAGE_ARRIVES, "message: media header"),
    (SendsFromAnotherNumber, lines.MESSAGE_ARRIVES, "message: flow"),
    (MarksTheFirstAttemptOnly, lines.MARK, "receipt with the mark of an attempt"),
    (KeepsItsSecret, lines.FRESH_SECRETS, "read again: access_token"),
    (KeepsItsSecret, lines.FRESH_SECRETS, "read again after a while: access_token"),
    (ForgetsToReadAgain, lines.FRESH_SECRETS, "read again: access_token"),
    (GivesItsSecretAsFingerprint, lines.FINGERPRINT, "fingerprint: access_token"),
    (ShowsItsSecret, lines.NO_SECRETS, "no secret in a repr"),
    (RaisesItsSecret, lines.NO_SECRETS, "no secret in what it raises: refused"),
    (RaisesItsSecret, lines.NO_SECRETS, "no secret that the provider repeats"),
]

# Dialects with one fault each


class BelievesEverybody(CloudCallbacks):
    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        return tuple(self._senders)


class BelievesABeginning(CloudCallbacks):
    """Compares no more than is shown."""

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        shown = request.headers.get(SIGNATURE_HEADER, "")
        right = {
            name: "sha256=" + hmac.new(key, request.body, "sha256").hexdigest()
            for name, sender in self._senders.items()
            for key in [sender.app_secret.reveal().encode()]
        }
        return tuple(name for name in right if shown and right[name].startswith(shown))


class ComparesTexts(CloudCallbacks):
    """Which raises where they are not ASCII."""

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        hmac.compare_digest(request.headers.get(SIGNATURE_HEADER, ""), "sha256=")
        return super().signed_by(request)


class KeepsTheFirstSecret(CloudCallbacks):
    def __init__(self, senders: Mapping[SenderName, CloudSender], codes: Any) -> None:
        fixed = {
            name: sender.model_copy(
                update={"app_secret": type(sender.app_secret)(sender.app_secret.reveal())}
            )
            for name, sender in senders.items()
        }
        super().__init__(fixed, codes)


class Reads(CloudCallbacks):
    """Changes what is read."""

    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return found

    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        return self.changed(super().read(body, senders=senders, now=now))


class RaisesAtAnEmptyOne(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return [found[0], *found[1:]]


class LosesTheOthers(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return found[:1]


class HearsNobody(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return [one for one in found if isinstance(one, Told)]


class ReadsForAnybody(CloudCallbacks):
    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        return super().read(body, senders=tuple(self._senders), now=now)


class ForgetsMarks(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return [replace(one, mark=None) if isinstance(one, Told) else one for one in found]


class ForgetsTheRecipient(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return [replace(one, wa_id=None) for one in found]


class ForgetsTheTime(Reads):
    def changed(self, found: list[Told | Heard]) -> list[Told | Heard]:
        return [replace(one, at=one.at.replace(year=2020)) for one in found]


class FailsForGood(CloudCallbacks):
    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        return ProviderRefused("Undelivered")


FAULTY_DIALECTS: list[tuple[type[CloudCallbacks], Line, str]] = [
    (BelievesEverybody, lines.SIGNED, "who signed"),
    (BelievesABeginning, lines.SIGNED, "signatures that are broken"),
    (ComparesTexts, lines.SIGNATURE_NEVER_RAISES, "signatures that are broken"),
    (ComparesTexts, lines.SIGNATURE_NEVER_RAISES, "signatures that are made up"),
    (KeepsTheFirstSecret, lines.FRESH_SECRETS, "callback secret: read again"),
    (RaisesAtAnEmptyOne, lines.NEVER_RAISES, "callbacks that are made up"),
    (RaisesAtAnEmptyOne, lines.NEVER_RAISES, "callbacks with something else in them"),
    (LosesTheOthers, lines.ONE_BAD_ITEM, "a broken item between others"),
    (HearsNobody, lines.HEARD, "somebody wrote"),
    (ReadsForAnybody, lines.ONLY_ITS_SENDERS, "only for those who signed"),
    (ForgetsMarks, lines.MARK, "receipt with the mark of an attempt"),
    (ForgetsTheRecipient, lines.RECEIPTS, "receipt: sent"),
    (ForgetsTheTime, lines.RECEIPTS, "receipt: sent"),
    (FailsForGood, lines.SAME_CODE, "same code by receipt: busy, pauses account"),
]


def broken_by(
    name: str, contract: type[ProviderContract] = CloudContract, **members: Any
) -> ContractBroken:
    """What one check says of the contract of a provider with these members in it."""
    asked = type("Changed", (contract,), members)()
    [check] = [one for one in checks(asked) if one.name == name]
    with pytest.raises(ContractBroken) as caught:
        check.run()
    return caught.value


@pytest.mark.parametrize(("provider", "line", "check"), FAULTY_PROVIDERS)
def test_a_fault_of_a_provider_is_found(
    provider: type[CloudProvider], line: Line, check: str
) -> None:
    found = broken_by(check, kind=replace(CLOUD, provider=provider))

    assert found.line is line
    assert line.promise in str(found)
    assert line.advice in str(found)


class ClaimsToBeReady(RouteMobileProvider):
    def is_ready(self) -> bool:
        return True


class LeavesTheLogInToTheSend(RouteMobileProvider):
    async def get_ready(self) -> None:
        return


@pytest.mark.parametrize(
    ("provider", "check"),
    [
        (ClaimsToBeReady, "ready: what is said to be there is"),
        (ClaimsToBeReady, "ready: nothing listens"),
        (LeavesTheLogInToTheSend, "ready: what a send needs is fetched before it"),
        (LeavesTheLogInToTheSend, "ready: the answer is 200 and a page"),
    ],
)
def test_a_log_in_that_is_left_to_the_send_is_found(
    provider: type[RouteMobileProvider], check: str
) -> None:
    kind = replace(PROVIDERS["routemobile"], provider=provider)

    assert broken_by(check, RouteMobileContract, kind=kind).line is lines.READY


@pytest.mark.parametrize(("dialect", "line", "check"), FAULTY_DIALECTS)
def test_a_fault_of_a_dialect_is_found(
    dialect: type[CloudCallbacks], line: Line, check: str
) -> None:
    assert broken_by(check, kind=replace(CLOUD, dialect=dialect)).line is line


def test_a_kind_of_message_that_is_taken_and_not_named_is_found() -> None:
    found = broken_by("message: template", messages=frozenset({"flow"}))

    assert found.line is lines.NOT_SUPPORTED


class PicksAList(CloudContract):
    def picked(self, request: Request) -> Picked:
        found = super().picked(request)
        return replace(found, texts=None if found.texts is None else list(found.texts))


class PicksAnotherOrder(CloudContract):
    def picked(self, request: Request) -> Picked:
        found = super().picked(request)
        return replace(found, texts=found.texts and found.texts[::-1])


def test_texts_of_a_template_may_be_picked_as_any_sequence_and_their_order_counts() -> None:
    [check] = [one for one in checks(PicksAList()) if one.name == "message: template"]
    check.run()

    said = str(broken_by("message: template", PicksAnotherOrder))
    assert "texts is ('Monday', 'Zoë') in the request, as `picked` reads it" in said


def test_items_of_another_kind_that_are_receipts_are_found() -> None:
    item = {"id": "wamid.1", "status": "sent", "timestamp": "1767225570"}

    assert broken_by("items of another kind", others=(item,)).line is lines.OTHER_KINDS


def test_samples_that_are_missing_are_named() -> None:
    answers = (refused(400, {"error": {"code": 131026}}),)
    found = broken_by("samples of answers", answers=answers)

    assert "none that is taken" in str(found)


class Logs(CloudProvider):
    async def send(self, message: Message, attempt: int) -> Sent:
        print("sending with", self._sender.access_token.reveal())
        get_logger("example").info("sending")
        return await super().send(message, attempt)


class LoggingContract(CloudContract):
    kind: ClassVar[Any] = replace(CLOUD, provider=Logs)


def test_a_secret_that_is_printed_is_found(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    contract = LoggingContract()
    check = next(one for one in checks(contract) if one.name == "answer: taken")

    with pytest.raises(ContractBroken) as caught:
        contract.test_it_keeps_the_contract(check, capfd, caplog)
    assert caught.value.line is lines.NO_SECRETS
    assert "access-token-of-1" not in str(caught.value)


def test_every_line_of_the_contract_is_broken_by_something_here() -> None:
    named = {line for _, line, _ in (*FAULTY_PROVIDERS, *FAULTY_DIALECTS)}

    assert named | {lines.NOT_SUPPORTED, lines.OTHER_KINDS} == set(CONTRACT)


def test_a_value_is_broken_at_each_place_in_each_way() -> None:
    found = list(breaks({"a": [1], "b": "x"}))

    assert {"b": "x"} in found
    assert {"a": [], "b": "x"} in found
    assert {"a": [None], "b": "x"} in found
    assert {"a": [1], "b": {}} in found
