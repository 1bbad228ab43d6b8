from __future__ import annotations

from alir.simulator.phones import Phones, Received, Written


def received(phone: str, wamid: str = "w", sender: str = "1") -> Received:
    return Received(
        wamid=wamid,
        provider="cloud",
        sender=sender,
        phone=phone,
        at=0,
        body=b"{}",
        kind="interactive",
    )


def written(phone: str) -> Written:
    return Written(wamid="x", provider="cloud", sender="1", phone=phone, at=0, text="Hi", name="A")


def test_messages_come_back_oldest_first_of_all_phones_or_of_one() -> None:
    phones = Phones()
    for phone, wamid in [("62", "a"), ("1", "b"), ("62", "c")]:
        phones.add(received(phone, wamid))

    assert [message.wamid for message in phones.received()] == ["a", "b", "c"]
    assert [message.wamid for message in phones.received("62")] == ["a", "c"]
    assert phones.received("7") == []


def test_what_a_person_wrote_is_on_the_phone_but_is_no_received_message() -> None:
    phones = Phones()
    phones.add(written("62"))

    assert phones.received() == []
    assert phones.last_received("62") is None
    assert [entry.wamid for entry in phones.recent(limit=1)[0].entries] == ["x"]


def test_the_oldest_are_forgotten_and_phones_without_anything_go() -> None:
    phones = Phones(keep=2)
    for phone, wamid in [("1", "a"), ("2", "b"), ("1", "c"), ("3", "d")]:
        phones.add(received(phone, wamid))

    assert [message.wamid for message in phones.received()] == ["c", "d"]
    assert [message.wamid for message in phones.received("1")] == ["c"]
    assert [phone.number for phone in phones.recent(limit=9)] == ["3", "1"]
    assert len(phones) == 2


def test_the_phone_that_changed_last_stands_first() -> None:
    phones = Phones()
    for phone in ("11", "12", "23", "11"):
        phones.add(received(phone))

    assert [phone.number for phone in phones.recent(limit=2)] == ["11", "23"]
    assert [phone.number for phone in phones.recent(limit=9, containing="1")] == ["11", "12"]


def test_every_change_can_be_seen() -> None:
    phones = Phones()
    seen = [phones.version]
    phones.add(received("1"))
    seen.append(phones.version)
    phones.changed()
    seen.append(phones.version)
    phones.forget()
    seen.append(phones.version)

    assert seen == sorted(set(seen))


def test_forgetting_leaves_nothing() -> None:
    phones = Phones(keep=1)
    phones.add(received("1"))
    phones.forget()
    phones.add(received("2", "b"))

    assert [message.wamid for message in phones.received()] == ["b"]
    assert phones.phone("1") is None
