"""JSON as alir takes it: RFC 8259, and nothing that two readers could read in two ways.

Besides what is not JSON at all, refused are: a key twice in one object, `NaN` and `Infinity`,
numbers that no double holds, half of a surrogate pair, more than `MAX_DEPTH` levels.
"""

from alir.strictjson.elements import Element, is_array, parse_elements, parse_lines
from alir.strictjson.explain import MAX_DEPTH, MAX_DIGITS
from alir.strictjson.hints import character_name
from alir.strictjson.read import canonical, parse

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "Element",
    "canonical",
    "character_name",
    "is_array",
    "parse",
    "parse_elements",
    "parse_lines",
]
