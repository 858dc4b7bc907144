"""Third stage of the answer checker: whether two plain texts say the same, kind by kind.

Parts of the number line (regions.py) and formulas (formulas.py) decide first. Tuples, intervals and ratios are
ordered (2:3 is 4:6), sets and "and" / "or" lists are not. The work is bounded: a set compares all pairs of its
items, so sets within sets may only have a few.
"""

from vr1_ray.answers.choice import Choice
from vr1_ray.answers.formulas import is_same_formula
from vr1_ray.answers.moment import Moment, clock_time, is_same_moment
from vr1_ray.answers.names import are_different_labels, may_be_same_name, root_of
from vr1_ray.answers.phrases import is_same_phrase
from vr1_ray.answers.quantities import quantities_agree, quotient_of, ratios_agree
from vr1_ray.answers.reading import (
    MAX_ITEMS,
    Compound,
    Items,
    Quantity,
    Reading,
    Relation,
    Words,
    factor_of,
    read,
)
from vr1_ray.answers.regions import are_same_regions
from vr1_ray.answers.relation import (
    as_interval,
    is_same_relation,
    is_solved,
    name_of,
    named_expressions,
    named_values,
)

_MAX_DEPTH = 3
_MAX_INNER_ITEMS = 6
_UNORDERED = {"", "{}"}


def agree(predicted: str, reference: str, depth: int = 0) -> bool:
    """Whether two plain texts say the same; `depth` counts the lists around them."""
    if predicted == reference:
        return True
    if depth > _MAX_DEPTH or are_different_labels(predicted, reference):
        return False
    for decides in (are_same_regions, is_same_formula):
        is_same_thing = decides(predicted, reference)
        if is_same_thing is not None:
            return is_same_thing
    left, right = read(predicted), read(reference)
    if _readings_agree(left, right, depth):
        return True
    return _are_words(left, right) and is_same_phrase(predicted, reference)


def _are_words(left: Reading, right: Reading) -> bool:
    """Whether the two may be compared as phrases, which leaves brackets and signs out."""
    is_value = any(
        isinstance(one, Choice) or (isinstance(one, Quantity) and one.value.constant is not None)
        for one in (left, right)
    )
    return not is_value and any(isinstance(one, Words | Moment) for one in (left, right))


def _readings_agree(left: Reading, right: Reading, depth: int) -> bool:
    if isinstance(left, Choice) or isinstance(right, Choice):
        return _choices_agree(left, right, depth)
    if isinstance(left, Moment) or isinstance(right, Moment):
        one, other = _as_moment(left), _as_moment(right)
        return one is not None and other is not None and is_same_moment(one, other)
    if isinstance(left, Compound) or isinstance(right, Compound):
        return _compounds_agree(left, right)
    if isinstance(left, Relation) or isinstance(right, Relation):
        return _relations_agree(left, right, depth)
    if isinstance(left, Items) or isinstance(right, Items):
        return _items_agree(left, right, depth)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return quantities_agree(left, right)
    return False


def _choices_agree(left: Reading, right: Reading, depth: int) -> bool:
    """The same letters; an option's text counts where the other side has no letter."""
    if isinstance(left, Choice) and isinstance(right, Choice):
        if left.letters != right.letters:
            return False
        if not left.text or not right.text:
            return True
        if left.is_loose or right.is_loose:
            return agree(left.text, right.text, depth + 1)
        ours, theirs = read(left.text), read(right.text)
        both_values = isinstance(ours, Quantity) and isinstance(theirs, Quantity)
        return not both_values or _readings_agree(ours, theirs, depth + 1)
    choice, other = (left, right) if isinstance(left, Choice) else (right, left)
    if not isinstance(choice, Choice) or not choice.text:
        return False
    inner = read(choice.text)
    if isinstance(inner, Words) and isinstance(other, Words):
        return is_same_phrase(inner.text, other.text)
    return not isinstance(inner, Choice) and _readings_agree(inner, other, depth + 1)


def _as_moment(reading: Reading) -> Moment | None:
    if isinstance(reading, Items) and reading.brackets == ":":
        return clock_time(reading.items)
    return reading if isinstance(reading, Moment) else None


def _compounds_agree(left: Reading, right: Reading) -> bool:
    """Two totals, or a total in one of the units it was said in: 2 h 30 min is 2.5 h and 150 min."""
    if isinstance(left, Compound) and isinstance(right, Compound):
        return (left.family, left.total) == (right.family, right.total)
    compound, other = (left, right) if isinstance(left, Compound) else (right, left)
    if not isinstance(compound, Compound) or not isinstance(other, Quantity):
        return False
    unit = other.unit or compound.units[0]
    total = other.value.constant
    return (
        unit in compound.units and total is not None and total * factor_of(unit) == compound.total
    )


def _two_relations_agree(left: Relation, right: Relation, depth: int) -> bool:
    names = {name_of(left), name_of(right)}
    if depth and not may_be_same_name(left.sides[0], right.sides[0]):
        return False  # length = 5, width = 3 is not length = 3, width = 5
    if len(names - {"*"}) <= 1 and "" not in names:
        ours, theirs = named_values(left), named_values(right)
        if any(agree(one, other, depth + 1) for one in ours for other in theirs):
            return True
    if names == {"y", "fx"} and left.signs == right.signs == ("=",):
        return agree(left.sides[1], right.sides[1], depth + 1)
    if is_solved(right) and not is_solved(left):
        return False  # 2x + 4 = 0 is no answer to what x is
    return is_same_relation(left, right)


def _relations_agree(left: Reading, right: Reading, depth: int) -> bool:
    if isinstance(left, Relation) and isinstance(right, Relation):
        return _two_relations_agree(left, right, depth)
    relation, other = (left, right) if isinstance(left, Relation) else (right, left)
    if not isinstance(relation, Relation):
        return False
    if isinstance(other, Items) and other.brackets in ("()", "[)", "(]", "[]"):
        interval = as_interval(relation)
        if interval is not None:
            return _items_agree(interval, other, depth)
    values = named_values(relation)
    if not values:
        values = named_expressions(relation, is_asked_for=relation is right)
    if depth >= _MAX_DEPTH or any(
        not agree(values[0], value, depth + 1) for value in values[1:] if ":" in value
    ):
        return False
    return any(
        _readings_agree(
            *((read(value), right) if relation is left else (left, read(value))), depth + 1
        )
        for value in values
    )


def _items_agree(left: Reading, right: Reading, depth: int) -> bool:
    if isinstance(left, Items) and isinstance(right, Items):
        if left.brackets == right.brackets == ":":
            return ratios_agree(left.items, right.items)
        return _collections_agree(left, right, depth)
    items, other = (left, right) if isinstance(left, Items) else (right, left)
    if not isinstance(items, Items):
        return False
    if items.brackets == ":" and len(items.items) == 2 and isinstance(other, Quantity):
        quotient = quotient_of(*items.items)
        return isinstance(quotient, Quantity) and quantities_agree(
            *((quotient, other) if items is left else (other, quotient))
        )
    is_single = items.brackets == "{}" and len(items.items) == 1 and bool(items.items[0])
    if is_single:
        inner = read(items.items[0])
        return depth < _MAX_DEPTH and _readings_agree(
            *((inner, right) if items is left else (left, inner)), depth + 1
        )
    return False


def _collections_agree(left: Items, right: Items, depth: int) -> bool:
    ours, theirs, is_by_name = _members(left, right)
    kinds = {left.brackets, right.brackets}
    is_ordered = is_by_name or (not kinds <= _UNORDERED and kinds != {"∪"})
    if is_ordered and len(kinds) > 1 and kinds != {"", "()"}:
        return False
    if not is_ordered:
        limit = MAX_ITEMS if depth == 0 else _MAX_INNER_ITEMS
        return max(len(ours), len(theirs)) <= limit and _same_members(ours, theirs, depth)
    return len(ours) == len(theirs) <= 4 * MAX_ITEMS and all(
        agree(one, other, depth + 1) for one, other in zip(ours, theirs, strict=True)
    )


def _members(left: Items, right: Items) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The items of both, and whether their order counts where brackets leave it free.

    "y = 3, x = 2" against (2, 3) or "2, 3" gives its values in the order of the names.
    """
    ours, theirs = _values_by_name(left), _values_by_name(right)
    if bool(ours) == bool(theirs):
        return left.items, right.items, False
    names, other = (ours, right) if ours else (theirs, left)
    root = root_of(list(names))
    given = _unnamed(other, root)
    if not given:
        return left.items, right.items, False
    values, is_ordered = tuple(names.values()), not other.brackets and not root
    return (values, given, is_ordered) if ours else (given, values, is_ordered)


def _unnamed(items: Items, root: str) -> tuple[str, ...]:
    """The items, if they name nothing; the values of "x = 1 or x = 2" for the root x; else ()."""
    readings = [read(item) for item in items.items]
    relations = [reading for reading in readings if isinstance(reading, Relation)]
    if not relations:
        return items.items
    values = [
        named_values(relation) for relation in relations if root and name_of(relation) == root
    ]
    return tuple(value[0] for value in values if value) if len(values) == len(readings) else ()


def _values_by_name(items: Items) -> dict[str, str]:
    """Name: value, in the order of the names; {} if a name is missing, said twice or in words."""
    relations = [reading for reading in map(read, items.items) if isinstance(reading, Relation)]
    if items.brackets or len(relations) < len(items.items):
        return {}
    values = sorted((name_of(relation), named_values(relation)) for relation in relations)
    names = {name for name, _ in values}
    if len(names) < len(values) or not all(name and given for name, given in values):
        return {}
    return {name: given[0] for name, given in values}


def _same_members(left: tuple[str, ...], right: tuple[str, ...], depth: int) -> bool:
    """Whether each item has its equal on the other side, in any order; repeated items count once."""
    remaining = list(right)
    for item in left:
        equal = [other for other in remaining if agree(item, other, depth + 1)]
        if not equal and not any(agree(item, other, depth + 1) for other in right):
            return False
        remaining = [other for other in remaining if other not in equal]
    return not remaining
