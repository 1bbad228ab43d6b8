"""Which class the next slot of a sender goes to. Arithmetic on counts.

The highest class that waits goes first, but one slot in five goes to the lowest. With three classes
the same holds among the upper two, of the slots that the lowest leaves: so nobody starves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from alir.messages.model import QueueClass

#: One slot in so many goes to the lowest class that waits. alir's own.
ONE_IN: Final = 5

#: For how many slots each class has waited behind higher ones since its own last; none: left out.
StoodBack = Mapping[QueueClass, int]
NOBODY: Final[StoodBack] = MappingProxyType({})

_LOWEST_FIRST: Final = tuple(reversed(QueueClass))


class Slot(NamedTuple):
    """Whose slot it is, and who has stood back for how many once it is used."""

    of: QueueClass
    then: StoodBack


def next_slot(waiting: Collection[QueueClass], stood_back: StoodBack) -> Slot:
    """Whose the next slot is, of the classes in which something waits; there is one at least.

    >>> before = {QueueClass.BULK: 3}
    >>> slot = next_slot([QueueClass.REPLY, QueueClass.BULK], before)
    >>> slot.of, dict(slot.then)
    (<QueueClass.REPLY: 'reply'>, {<QueueClass.BULK: 'bulk'>: 4})
    >>> next_slot([QueueClass.REPLY, QueueClass.BULK], slot.then).of
    <QueueClass.BULK: 'bulk'>
    """
    if len(waiting) == 1:
        [only] = waiting
        return Slot(only, _without(stood_back, only) if only in stood_back else stood_back)
    *lower, highest = (one for one in _LOWEST_FIRST if one in waiting)
    behind: dict[QueueClass, int] = {}
    for one in lower:
        count = stood_back.get(one, 0) + 1
        if count == ONE_IN:
            return Slot(one, _without(stood_back, one) | behind)
        behind[one] = count
    return Slot(highest, _without(stood_back, highest) | behind)


def slots_until(waiting: Mapping[QueueClass, int], last: QueueClass) -> float:
    """How many slots it takes, about, until all that waits in class `last` has gone.

    Should nothing else come meanwhile.

    >>> slots_until({QueueClass.SINGLE: 10, QueueClass.BULK: 1000}, QueueClass.SINGLE)
    12.5
    >>> slots_until({QueueClass.SINGLE: 1000, QueueClass.BULK: 10}, QueueClass.BULK)
    50
    """
    classes = tuple(QueueClass)
    place = classes.index(last)
    higher, own, lower = (
        sum(waiting.get(one, 0) for one in some)
        for some in (classes[:place], [last], classes[place + 1 :])
    )
    slots = min(own + higher, own * ONE_IN)
    return min(slots + lower, slots * ONE_IN / (ONE_IN - 1))


def _without(stood_back: StoodBack, one: QueueClass) -> dict[QueueClass, int]:
    return {other: count for other, count in stood_back.items() if other is not one}
