"""What is expected of every error code, written down from the documents and the design.

Sources: Meta, WhatsApp Cloud API error codes, read 2026-09-11, with the HTTP statuses that Meta
once gave; Route Mobile, WhatsApp Business API, error codes of delivery reports. Classes and waits:
design, sections 4 and 5.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Effect(NamedTuple):
    """What an error does to a message, and to others.

    Attributes:
        concern: the class.
        waits: seconds from one refusal to the next try, refusal after refusal; the last one stays.
            Empty for what is busy: until an operator resumes it.
        tries: so many answers, and it counts as refused.
    """

    concern: str
    waits: tuple[float, ...] = ()
    tries: int | None = None


REFUSED: Final = Effect("refused")
WINDOW: Final = Effect("window")
#: Without jitter: half of 1 s, doubling up to half of 5 min.
BUSY: Final = Effect("retry", (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 150, 150))
THRICE: Final = Effect("retry", (0.5, 1), tries=3)
#: 4^X s (Meta), at most 256.
PAIR: Final = Effect("recipient", (1, 4, 16, 64, 256, 256))
FLOW_STOPPED: Final = Effect("flow")
#: Ten an hour (Meta), at 97 % of that.
FLOW_SLOW: Final = Effect("flow", (371, 371, 371))
THROUGHPUT: Final = Effect("sender", (1, 2, 4, 8, 16, 30, 30))
SPAM: Final = Effect("sender", (3600, 7200, 14400, 28800, 57600, 86400, 86400))
MAINTENANCE: Final = Effect("sender", (60, 120, 120))
DELETED: Final = Effect("sender", (300, 600, 900, 900))
NUMBER: Final = Effect("sender", (60, 120, 240, 480, 900, 900))
PEOPLE: Final = Effect("account", (60, 120, 240, 480, 900, 900))
CALLS: Final = Effect("account", (60, 120, 240, 480, 960, 1920, 3600, 3600))


class Row(NamedTuple):
    """One row of the documents' tables.

    Attributes:
        http: the status of an answer with it.
        says: stands in what users and operators are told has happened.
        advises: stands in what they are told to do.
    """

    codes: range
    http: int
    effect: Effect
    says: str
    advises: str


def _row(code: int, http: int, effect: Effect, says: str, advises: str, *, to: int = 0) -> Row:
    return Row(range(code, (to or code) + 1), http, effect, says, advises)


WHATSAPP: Final = (
    _row(0, 401, PEOPLE, "cannot be authenticated", "valid access token"),
    _row(1, 400, THRICE, "Unknown API error", "status page"),
    _row(2, 503, BUSY, "down or overloaded", "status page"),
    _row(3, 500, PEOPLE, "permission is missing", "whatsapp_business_messaging"),
    _row(4, 400, CALLS, "call rate limit", "call less"),
    _row(10, 403, PEOPLE, "permission is missing or was removed", "whatsapp_business_messaging"),
    _row(33, 400, PEOPLE, "number was deleted, or its id is wrong", "phone_number_id"),
    _row(100, 400, REFUSED, "parameter", "Read the details"),
    _row(104, 400, PEOPLE, "access token is missing", "valid access token"),
    _row(190, 401, PEOPLE, "access token has expired", "new access token"),
    _row(200, 403, PEOPLE, "permission is missing", "permission", to=299),
    _row(368, 403, PEOPLE, "restricted for breaking a policy", "Business Support Home"),
    _row(80007, 400, CALLS, "account's rate limit", "call less"),
    _row(80008, 400, CALLS, "management call limit", "manages templates and numbers"),
    _row(130403, 400, REFUSED, "blocked the recipient", "Unblock"),
    _row(130429, 400, THROUGHPUT, "throughput", "messages_per_second"),
    _row(130472, 400, REFUSED, "experiment", "Do not send it again"),
    _row(130497, 403, REFUSED, "may not message people of this country", "countries"),
    _row(131000, 500, THRICE, "Something went wrong at Meta", "status page"),
    _row(131005, 403, PEOPLE, "Access denied", "permission"),
    _row(131008, 400, REFUSED, "required parameter is missing", "Read the details"),
    _row(131009, 400, REFUSED, "value is not valid", "Flow is not published"),
    _row(131016, 500, BUSY, "temporarily unavailable", "status page"),
    _row(131021, 400, REFUSED, "same number", "another number"),
    _row(131026, 400, REFUSED, "undeliverable", "another way"),
    _row(131030, 400, REFUSED, "test number's list", "Add the recipient"),
    _row(131031, 403, PEOPLE, "locked", "why the account is locked"),
    _row(131037, 400, NUMBER, "display name is not approved", "approved"),
    _row(131042, 400, PEOPLE, "billing problem", "payment method"),
    _row(131044, 400, PEOPLE, "billing problem", "payment method"),
    _row(131045, 500, NUMBER, "registration failed", "Register the number"),
    _row(131047, 400, WINDOW, "24 hours have passed", "fallback"),
    _row(131048, 400, SPAM, "spam limit", "send less"),
    _row(131049, 400, REFUSED, "engagement", "within 24 hours"),
    _row(131050, 400, REFUSED, "opted out", "off your marketing lists"),
    _row(131051, 400, REFUSED, "type is not supported", "Flow message or a template"),
    _row(131052, 400, REFUSED, "could not be downloaded", "a person sent"),
    _row(131053, 400, REFUSED, "media file cannot be used", "header's URL"),
    _row(131055, 400, REFUSED, "Only templates", "template"),
    _row(131056, 400, PAIR, "to this recipient in a short time", "one message in 6 s"),
    _row(131057, 500, MAINTENANCE, "maintenance", "Nothing"),
    _row(131062, 400, REFUSED, "id is not allowed", "phone number"),
    _row(131063, 400, REFUSED, "Marketing templates are disabled", "another category"),
    _row(131064, 400, BUSY, "wrong category", "lifted by itself"),
    _row(132000, 400, REFUSED, "number of template variables", "as many texts"),
    _row(132001, 404, REFUSED, "does not exist", "name and language"),
    _row(132005, 400, REFUSED, "too long", "Shorten"),
    _row(132007, 400, REFUSED, "content policy", "change it"),
    _row(132008, 400, REFUSED, "wrong format", "variables"),
    _row(132012, 400, REFUSED, "wrong format", "variables"),
    _row(132015, 400, BUSY, "paused for its quality", "another template"),
    _row(132016, 400, REFUSED, "disabled for good", "another template"),
    _row(132018, 400, REFUSED, "parameters are not valid", "Read the details"),
    _row(132068, 400, FLOW_STOPPED, "Flow is blocked", "then resume"),
    _row(132069, 400, FLOW_SLOW, "throttled", "Flow's endpoint"),
    _row(133000, 500, NUMBER, "deregistration failed", "register it"),
    _row(133004, 503, BUSY, "temporarily unavailable", "status page"),
    _row(133005, 400, REFUSED, "PIN is wrong", "right PIN"),
    _row(133006, 400, NUMBER, "verified again", "Verify the number"),
    _row(133008, 400, NUMBER, "PIN guesses", "Wait as long as the details say"),
    _row(133009, 400, NUMBER, "entered too fast", "Wait as long as the details say"),
    _row(133010, 400, NUMBER, "not registered", "Register the number"),
    _row(133015, 400, DELETED, "deleted a moment ago", "Wait 5 minutes"),
    _row(133016, 400, NUMBER, "Too many registrations", "the time that Meta states"),
    _row(134011, 400, PEOPLE, "payment terms", "Accept the terms"),
    _row(134100, 400, REFUSED, "marketing endpoint", "ordinary way", to=134102),
    _row(135000, 400, REFUSED, "generic error", "Compare the request"),
    _row(137000, 400, REFUSED, "identity has changed", "same person"),
    _row(138000, 400, REFUSED, "calling", "not messages", to=138999),
    _row(139000, 400, PEOPLE, "integrity", "ask for a review"),
    _row(139001, 400, REFUSED, "cannot be changed", "new version"),
    _row(139002, 400, REFUSED, "cannot be published", "Read the details"),
    _row(139003, 400, REFUSED, "cannot be deprecated", "Flow's status"),
    _row(139004, 400, REFUSED, "cannot be deleted", "Flow's status"),
    _row(139006, 400, REFUSED, "metrics", "Ask again"),
    _row(139100, 400, REFUSED, "blocked people", "not a message", to=139103),
)

#: Those of its delivery reports; WhatsApp's come as well.
ROUTE_MOBILE: Final = (
    _row(403, 0, REFUSED, "blacklisted", "off its blacklist"),
    _row(410, 0, REFUSED, "expired", "Send it anew"),
    _row(429, 0, THROUGHPUT, "Too many messages", "messages_per_second"),
    _row(470, 0, WINDOW, "24 hours have passed", "fallback"),
    _row(471, 0, SPAM, "spam limit", "send less"),
    _row(472, 0, REFUSED, "experiment", "Do not send it again"),
    _row(500, 0, BUSY, "fault at Route Mobile", "Route Mobile's support"),
    _row(1000, 0, THRICE, "Something went wrong", "Route Mobile's support"),
    _row(1001, 0, REFUSED, "malformed or too long", "Shorten"),
    _row(1008, 0, REFUSED, "required parameter is missing", "Read the details"),
    _row(1009, 0, REFUSED, "value is not valid", "Flow is not published"),
    _row(1013, 0, REFUSED, "not a WhatsApp user", "another way"),
    _row(1025, 0, REFUSED, "not valid", "Read the details"),
    _row(1026, 0, REFUSED, "cannot show this message", "update WhatsApp"),
)


def ends(rows: tuple[Row, ...]) -> dict[int, Row]:
    """Row by code; of a range its first and its last code."""
    return {code: row for row in rows for code in (row.codes[0], row.codes[-1])}
