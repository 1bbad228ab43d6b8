"""How long and how large the parts of a message may be. Lengths count code points.

Sources, where a limit is not alir's own:
[O] Meta's OpenAPI file (github facebook/openapi, business-messaging-api_v23.0.yaml, November 2025),
    schema of `interactive` messages.
[D] Meta's page "Sending a flow" (developers.facebook.com/docs/whatsapp/flows/guides/sendingaflow,
    copy of 2026-09-11).
[B] Meta's page "Business-scoped user IDs" (developers.facebook.com/docs/whatsapp/
    business-scoped-user-ids, copy of 2026-05-07).
[T] Meta's page "Template components" (developers.facebook.com/docs/whatsapp/
    business-management-api/message-templates/components, March 2026).
[E] ITU-T E.164 (2010), section 6.2.1.
"""

from __future__ import annotations

from typing import Final

BODY: Final = 1024  #: [O] `body.text`
HEADER_TEXT: Final = 60  #: [O] `header.text`
FOOTER: Final = 60  #: [O] `footer.text`
BUTTON_TEXT: Final = 30  #: [O] `flow_cta`
BUTTON_TEXT_ADVISED: Final = 20  #: older clients and some providers refuse more, and emoji; [D]

FLOW_ID: Final = 64  #: alir's own; WhatsApp's are digits, 15 to 17 of them
FLOW_TOKEN: Final = 1024  #: alir's own; WhatsApp documents none
SCREEN: Final = 256  #: alir's own; WhatsApp documents none
MEDIA_URL: Final = 2048  #: alir's own; what browsers and servers commonly take
CALLBACK_DATA: Final = 256  #: alir's own
SENDER_NAME: Final = 64  #: alir's own
REPLY_MESSAGE_ID: Final = 512  #: alir's own; WhatsApp's ids have no documented length

TEMPLATE_NAME: Final = 512  #: [T]
LANGUAGE_MIN: Final = 2  #: alir's own; WhatsApp's codes are such as `en` and `pt_BR`
LANGUAGE: Final = 16  #: alir's own
TEMPLATE_VALUES: Final = 20  #: alir's own; WhatsApp documents none
TEMPLATE_VALUE: Final = 1024  #: [T] the body with its variables filled in
LAST_BUTTON: Final = 9  #: [T] a template has up to ten buttons, counted from 0

DETAIL: Final = 1_000  #: alir's own; what is kept of a provider's own words about an error

USER_ID: Final = 128  #: letters and digits of a business-scoped user id after its dots; [B]
DIGITS_MIN: Final = 7  #: alir's own; the shortest numbers with a country code
DIGITS_MAX: Final = 15  #: [E]
NUMBER_TEXT: Final = 64  #: characters of a number with its spaces and brackets; alir's own
NUMBERS_REMEMBERED: Final = 16_384  #: answers of libphonenumber kept; under 3 MB

#: What `data` for a first screen may hold: 64 bits, signed or not. JSON readers commonly round what
#: is larger.
LEAST_WHOLE_NUMBER: Final = -(2**63)
LARGEST_WHOLE_NUMBER: Final = 2**64 - 1

UNKNOWN_FIELDS_NAMED: Final = 20  #: for each object; further ones are only counted
