"""The contract of a provider, line by line, and how a broken line is told."""

from __future__ import annotations

from typing import Final, NamedTuple


class Line(NamedTuple):
    """One line of the contract.

    Attributes:
        promise: what holds of every provider.
        advice: what to do where it does not.
    """

    promise: str
    advice: str


class ContractBroken(AssertionError):
    """A provider does not keep a line of the contract.

    Attributes:
        line: which.
    """

    def __init__(self, line: Line, found: str) -> None:
        super().__init__(f"{line.promise}\n    Found: {found}\n    What to do: {line.advice}")
        self.line = line


def hold(kept: bool, line: Line, found: str) -> None:
    """Raise where a line is not kept.

    Args:
        found: what was seen instead, in a sentence.

    Raises:
        ContractBroken: `kept` is false.
    """
    __tracebackhide__ = True
    if not kept:
        raise ContractBroken(line, found)


SAMPLES: Final = Line(
    "The samples cover what a provider has to know.",
    "Give the sample that is named; see `alir.testing.asked.Asked` for what each one is.",
)
READY: Final = Line(
    "What a send needs first, `get_ready()` fetches: it sends nothing, and fails as ProviderBusy.",
    "Fetch in `get_ready()` whatever `send` would have to ask for first, such as a log-in's token, "
    "and keep it. Let `is_ready()` say whether it is there; where nothing is needed, it is True.",
)
ONE_REQUEST: Final = Line(
    "A send makes one request, and never a second.",
    "Call `tools.http.request` once in `send`, and repeat nothing: dispatch does that where it is "
    "safe. Only where the answer proves that nothing was taken may there be more, and its sample "
    "says so with `requests`.",
)
NEVER_CONNECTED: Final = Line(
    "Where no connection was made, a send is ProviderBusy.",
    "Turn `NeverConnected` of the HTTP client into ProviderBusy.",
)
NO_ANSWER: Final = Line(
    "Where no whole answer came, a send is OutcomeUnknown.",
    "Turn `NoAnswer` of the HTTP client into OutcomeUnknown: the provider may have the message.",
)
NO_REDIRECT: Final = Line(
    "A redirect is not followed, and is OutcomeUnknown.",
    "Send with `tools.http`, which follows none, and take a 3xx for an answer that nobody knows.",
)
KNOWN_ANSWER: Final = Line(
    "A documented answer comes to what it is documented to mean.",
    "Look at how `wire.read_answer` reads this answer, and at the class of its code in codes.tsv; "
    "for the wait that it asks for, at what `failure` is given as `retry_after`.",
)
UNKNOWN_ANSWER: Final = Line(
    "An answer that nobody knows is OutcomeUnknown, and never a success.",
    "Return `Sent` only for the documented form of a success with an id in it. Whatever does not "
    "prove that the message was taken, or that it was not, is OutcomeUnknown.",
)
ONLY_FAILURES: Final = Line(
    "A send returns Sent or raises ProviderBusy, ProviderRefused or OutcomeUnknown; nothing else.",
    "Read JSON with `alir.providers.lenient.parse`, and match the forms that you know with `match` "
    "rather than with `answer[...]`.",
)
MESSAGE_ARRIVES: Final = Line(
    "Every part of a message arrives where the provider takes it.",
    "Compare `wire.build_send` with the provider's documents, and `picked` of the contract with "
    "both: the fault may be in either.",
)
NOT_SUPPORTED: Final = Line(
    "A kind of message that the provider has no place for is refused before a request is made.",
    "Raise ProviderRefused in `send` with what to do instead in `details`, or add the kind to "
    "`messages` of the contract.",
)
MARK: Final = Line(
    "The mark of an attempt comes back from its receipts, where the sender gives marks.",
    "Send `mark.write(message.id, attempt)` in a field that the provider gives back, and read it "
    "with `mark.read`. Where there is no such field, `gives_marks` of the sender's table is False.",
)
RECEIPTS: Final = Line(
    "A receipt is read with all that it says.",
    "Compare `webhook.read` with the provider's documents, and `receipt` of the contract with "
    "both: the fault may be in either.",
)
HEARD: Final = Line(
    "That a person wrote is told as Heard.",
    "Let `webhook.read` return a Heard with the digits of the person's number, no plus sign.",
)
OTHER_KINDS: Final = Line(
    "What is of another kind is passed over.",
    "Return nothing for items that are neither receipts nor messages of people.",
)
NEVER_RAISES: Final = Line(
    "Reading a callback never raises, whatever is in it.",
    "Parse with `alir.providers.lenient.parse`, match the forms that you know, and pass over the "
    "rest.",
)
ONE_BAD_ITEM: Final = Line(
    "One bad item never spoils the others of its callback.",
    "Read item by item, and pass over the one that is not of the documented form.",
)
SIGNED: Final = Line(
    "A callback counts for the senders whose own secret it shows, and for nobody else.",
    "Compare with `hmac.compare_digest` over bytes, the whole of both, for every sender. Nothing "
    "shown, or an empty secret, is no match.",
)
SIGNATURE_NEVER_RAISES: Final = Line(
    "Asking who signed a callback never raises.",
    "`hmac.compare_digest` raises for texts that are not ASCII, so encode both first, with "
    '`errors="replace"`.',
)
ONLY_ITS_SENDERS: Final = Line(
    "A callback is read only for the senders that signed it.",
    "Return nothing about a sender that is not among `senders`.",
)
SAME_CODE: Final = Line(
    "A code means the same in a failed receipt as in an answer.",
    "Let answers and `failure_of` both go through `alir.providers.whatsapp.failure`, with the same "
    "table of codes.",
)
NO_SECRETS: Final = Line(
    "A secret stands in no repr, no exception, and nothing that is printed or logged.",
    "Keep secrets in `SecretText` fields, call `reveal()` where the request is built, and write "
    "neither headers nor URLs with secrets into errors. Take them out of the provider's own words "
    "with `alir.providers.credential.strike_out`.",
)
FINGERPRINT: Final = Line(
    "`credentials()` changes when a secret of sends does, only then, and gives none away.",
    "Hash every secret that a send shows with SHA-256.",
)
FRESH_SECRETS: Final = Line(
    "A secret is asked for at each use, and `refresh_credentials()` has its file read again.",
    "Keep no secret in a field of your own: call `reveal()` at each use, and let "
    "`refresh_credentials()` call `expire()` of each secret of sends.",
)

#: All of them, in the order in which the how-to page lists them.
CONTRACT: Final = (
    *(READY, ONE_REQUEST, NEVER_CONNECTED, NO_ANSWER, NO_REDIRECT, KNOWN_ANSWER, UNKNOWN_ANSWER),
    *(ONLY_FAILURES, MESSAGE_ARRIVES, NOT_SUPPORTED, MARK, RECEIPTS, HEARD, OTHER_KINDS),
    *(NEVER_RAISES, ONE_BAD_ITEM, SIGNED, SIGNATURE_NEVER_RAISES, ONLY_ITS_SENDERS, SAME_CODE),
    *(NO_SECRETS, FINGERPRINT, FRESH_SECRETS),
)
