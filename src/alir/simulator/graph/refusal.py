"""Why the Graph API refuses a request."""

from __future__ import annotations

#: Unsupported, misspelled, of a wrong type, too long.
INVALID = 100
ACCESS_TOKEN = 190
MISSING = 131008
WRONG_VALUE = 131009
UNSUPPORTED_TYPE = 131051


class GraphRefusal(Exception):
    """A request breaks a rule.

    Attributes:
        code: WhatsApp's, one of the constants above.
        details: which field, and what is wrong with it.
        http: the status, where it is not the one of the code's row in the table.
    """

    def __init__(self, code: int, details: str, *, http: int | None = None) -> None:
        super().__init__(details)
        self.code = code
        self.details = details
        self.http = http


class NodeRefusal(GraphRefusal):
    """Graph itself refuses, before WhatsApp comes in: the reason is the message.

    Attributes:
        subcode: what is wrong, more exactly.
    """

    def __init__(self, details: str, *, subcode: int | None = None) -> None:
        super().__init__(INVALID, details)
        self.subcode = subcode


def invalid(details: str) -> GraphRefusal:
    return GraphRefusal(INVALID, details)


def missing(path: str) -> GraphRefusal:
    return GraphRefusal(MISSING, f"The parameter {path} is required.")


def wrong(details: str) -> GraphRefusal:
    return GraphRefusal(WRONG_VALUE, details)
