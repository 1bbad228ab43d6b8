"""What Graph tells of a phone number and of a WhatsApp Business account. No I/O.

Source: `facebook/openapi`, business-messaging-api v23.0; Meta, "Messaging health status".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from alir.simulator.behaviour import Graph
from alir.simulator.graph.refusal import NodeRefusal
from alir.simulator.graph.wire import ACCOUNT_ID, DISPLAY_NUMBER

BUSINESS_ID = "1065000000000002"
APP_ID = "1065000000000003"
APP_NAME = "alir simulator"
NOT_FOUND = 33  # a subcode
#: What a phone number tells when no fields are asked for.
DEFAULT_FIELDS = "verified_name,display_phone_number,quality_rating,id"


def phone_number(number_id: str, fields: str | None, graph: Graph) -> dict[str, Any]:
    """The fields of a phone number that are asked for, and always its id.

    Raises:
        NodeRefusal: there is no such number (the id is not all digits), or no such field.
    """
    if not (number_id.isascii() and number_id.isdigit()):
        raise NodeRefusal(
            f"Unsupported get request. Object with ID {number_id[:64]!r} does not exist.",
            subcode=NOT_FOUND,
        )
    known = _phone_number(number_id, graph)
    asked = [field.strip() for field in (fields or DEFAULT_FIELDS).split(",")]
    unknown = [field for field in asked if field not in known]
    if unknown:
        raise NodeRefusal(
            f"Tried accessing nonexisting field ({unknown[0][:64]}) on node type"
            " (WhatsAppBusinessPhoneNumber)"
        )
    return {field: known[field] for field in [*asked, "id"]}


def _phone_number(number_id: str, graph: Graph) -> Mapping[str, Any]:
    entities = {
        "PHONE_NUMBER": number_id,
        "WABA": ACCOUNT_ID,
        "BUSINESS": BUSINESS_ID,
        "APP": APP_ID,
    }
    # What is wrong is said of the number: the others are never to blame here.
    can_send = {"PHONE_NUMBER": graph.can_send.value}
    return {
        "id": number_id,
        "display_phone_number": f"+{DISPLAY_NUMBER}",
        "verified_name": "alir simulator",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
        "health_status": {
            "can_send_message": graph.can_send.value,
            "entities": [
                {
                    "entity_type": kind,
                    "id": its,
                    "can_send_message": can_send.get(kind, "AVAILABLE"),
                }
                for kind, its in entities.items()
            ],
        },
    }


def subscribed_apps(graph: Graph) -> dict[str, Any]:
    """The apps that get the callbacks of an account."""
    app = {"id": APP_ID, "name": APP_NAME, "link": "https://example.com/"}
    apps = [{"whatsapp_business_api_data": app}] if graph.subscribed else []
    return {"data": apps}


def check_proof(proof: str | None, *, access_token: str, app_secret: str) -> None:
    """That `appsecret_proof`, where it is there, is made with the app secret.

    Raises:
        NodeRefusal: it is not.
    """
    if proof is None:
        return
    right = hmac.digest(app_secret.encode(), access_token.encode(), "sha256").hex()
    if not hmac.compare_digest(proof.encode(), right.encode()):
        raise NodeRefusal("Invalid appsecret_proof provided in the API argument")
