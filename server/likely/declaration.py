"""How a setting is declared: once, as a field of the frozen dataclass that uses it.

    k: int = setting("k", 10, "How many candidates a list shows.", minimum=1, maximum=100)

`settings_of` finds what a dataclass and those in it declare, `filled` makes it of values by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_type_hints

Kind = Literal["boolean", "integer", "number", "string", "path", "characters"]

T = TypeVar("T")

_KINDS: dict[type, Kind] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "string",
    tuple: "characters",
}
_METADATA = "setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name inside the section, and what a value has to be."""

    name: str
    kind: Kind
    default: object
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    nullable: bool = False


def setting(
    name: str,
    default: object,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    kind: Kind | None = None,
    otherwise: object = ...,
) -> Any:
    """A dataclass's field that is a setting; None as the default allows null.

    `kind` where the default does not tell it; `otherwise`: the field's default where no settings
    are at work, if that is another one.
    """
    declared = Setting(
        name=name,
        kind=kind or _KINDS[type(default)],
        default=default,
        description=description,
        minimum=minimum,
        maximum=maximum,
        choices=choices,
        nullable=default is None,
    )
    value = default if otherwise is ... else otherwise
    return field(default=value, metadata={_METADATA: declared})


def settings_of(group: type) -> Iterator[Setting]:
    """The settings that a dataclass declares, those of the dataclasses in it included, in order."""
    types = get_type_hints(group)
    for each in fields(group):
        if _METADATA in each.metadata:
            yield each.metadata[_METADATA]
        elif hasattr(types[each.name], "__dataclass_fields__"):
            yield from settings_of(types[each.name])


def filled(group: type[T], values: Mapping[str, object]) -> T:
    """Make a dataclass of the values of its settings, by their names."""
    types = get_type_hints(group)
    made: dict[str, object] = {}
    for each in fields(group):  # type: ignore[arg-type] # it is a dataclass
        if _METADATA in each.metadata:
            made[each.name] = values[each.metadata[_METADATA].name]
        elif hasattr(types[each.name], "__dataclass_fields__"):
            made[each.name] = filled(types[each.name], values)
    return group(**made)
