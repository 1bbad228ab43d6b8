"""What a message says, read from the request that a provider took. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from alir.simulator.phones import ROUTE_MOBILE, Received

MEDIA = ("image", "video", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message's texts; fields as in `view.Bubble`.

    Attributes:
        quotes: the WhatsApp id of the message that it answers.
    """

    body: str
    header: str | None = None
    media: str | None = None
    link: str | None = None
    footer: str | None = None
    button: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    quotes: str | None = None


def content_of(message: Received) -> Content:
    """What the message says."""
    request = _object(from_json(message.body))
    if message.provider == ROUTE_MOBILE:
        if message.kind == "interactive":
            return _route_mobile_flow(request)
        return _route_mobile_template(request)
    return _flow(request) if message.kind == "interactive" else _template(request)


def _flow(request: Mapping[str, Any]) -> Content:
    interactive = _object(request.get("interactive"))
    header = _object(interactive.get("header"))
    kind = header.get("type")
    media = None if kind in (None, "text") else str(kind)
    source = _object(header.get(media)) if media else {}
    parameters = _object(_object(interactive.get("action")).get("parameters"))
    payload = _object(parameters.get("flow_action_payload"))
    facts = {
        "Flow": parameters.get("flow_id") or parameters.get("flow_name"),
        "Token": parameters.get("flow_token"),
        "Action": parameters.get("flow_action", "navigate"),
        "Screen": payload.get("screen"),
        "Data": payload.get("data"),
        "Mode": parameters.get("mode", "published"),
    }
    return Content(
        header=source.get("id") if media else header.get("text"),
        media=media,
        link=source.get("link"),
        body=_object(interactive.get("body")).get("text", ""),
        footer=_object(interactive.get("footer")).get("text"),
        button=parameters.get("flow_cta"),
        facts=_facts(facts),
        quotes=_quotes(request),
    )


def _template(request: Mapping[str, Any]) -> Content:
    """The simulator knows no template's text, so it shows what the request says of it."""
    template = _object(request.get("template"))
    parts = _objects(template.get("components"))
    given = [each for part in parts for each in _objects(part.get("parameters"))]
    button = next((part for part in parts if part.get("sub_type", "").lower() == "flow"), {})
    actions = [_object(each.get("action")) for each in _objects(button.get("parameters"))]
    action = actions[0] if actions else {}
    facts = {
        "Language": _object(template.get("language")).get("code"),
        "Token": action.get("flow_token"),
        "Data": action.get("flow_action_data"),
    }
    media, link = _first_media(given)
    return Content(
        header=None if media else _named(template.get("name")),
        media=media,
        link=link,
        body=_lines(_named(template.get("name")) if media else None, given),
        button="Open the template's flow" if button else None,
        facts=_facts(facts),
        quotes=_quotes(request),
    )


def _route_mobile_flow(request: Mapping[str, Any]) -> Content:
    header = _object(request.get("header"))
    flow = _object(request.get("flow"))
    payload = _object(flow.get("flow_action_payload"))
    facts = {
        "Flow": flow.get("flow_id"),
        "Token": flow.get("flow_token"),
        "Action": flow.get("flow_action", "navigate"),
        "Screen": payload.get("screen"),
        "Data": payload.get("data"),
        "Mode": flow.get("flow_mode", "published"),
        "Extra": request.get("extra"),
    }
    return Content(
        header=header.get("text"),
        media="image" if header.get("image") else None,
        link=header.get("image"),
        body=request.get("body", ""),
        footer=request.get("footer"),
        button=flow.get("flow_cta"),
        facts=_facts(facts),
        quotes=request.get("reply_to"),
    )


def _route_mobile_template(request: Mapping[str, Any]) -> Content:
    template = _object(request.get("media"))
    headers = _objects(template.get("header"))
    button = next((each for each in _objects(template.get("button")) if "flow" in each), {})
    flow = button.get("flow")
    facts = {
        "Language": template.get("lang_code"),
        "Token": _object(flow).get("flow_token") if isinstance(flow, dict) else flow,
        "Data": _object(flow).get("flow_action_data"),
        "Extra": request.get("extra"),
    }
    media, link = _first_media(headers)
    return Content(
        header=None if media else _named(template.get("template_name")),
        media=media,
        link=link,
        body=_lines(
            _named(template.get("template_name")) if media else None,
            [*headers, *_objects(template.get("body"))],
        ),
        button="Open the template's flow" if button else None,
        facts=_facts(facts),
        quotes=request.get("reply_to"),
    )


def _named(name: object) -> str:
    return f"Template {name}"


def _first_media(parts: Iterable[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Kind and link of the first image, video or document in a template's header."""
    for part in parts:
        for kind in MEDIA:
            link = _object(part.get(kind)).get("link")
            if isinstance(link, str) and link.startswith(("http://", "https://")):
                return kind, link
    return None, None


def _lines(first: str | None, parts: Iterable[Mapping[str, Any]]) -> str:
    texts = [part.get("text") for part in parts]
    return "\n".join(str(text) for text in (first, *texts) if text)


def _quotes(request: Mapping[str, Any]) -> str | None:
    wamid: str | None = _object(request.get("context")).get("message_id")
    return wamid


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))
        for name, value in facts.items()
        if value is not None
    ]


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [_object(item) for item in value] if isinstance(value, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
