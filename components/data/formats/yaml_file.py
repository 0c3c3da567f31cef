"""A dataset's YAML, read as plain text values: no tags, no aliases, no depth, so that no file can do more than say something."""

from typing import Any

import yaml

from components.errors import DataError

LIMIT = 1024 * 1024  # bytes: ten times the names of ImageNet's 21,841 classes
_DEPTH = 8
# The C parser is ten times faster, and iterative; every loader here makes text of every scalar.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def load(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML text holds: keys and values are text as written (`no` stays "no"), lists or mappings.

    Raises DataError naming the line for what is not valid YAML, no mapping, nested deeper than 8, or uses tags,
    aliases or one key twice.
    """
    try:
        _check(text, source)
        document = yaml.load(text, Loader=_LOADER)  # BaseLoader makes nothing but text, lists and mappings
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise DataError(f"{where} is not valid YAML ({getattr(error, 'problem', None) or error}); correct it") from error
    if not isinstance(document, dict):
        raise DataError(f"{source} holds no mapping, expected `names: [cat, dog]` and the like")
    return document


def _check(text: str, source: str) -> None:
    """Refuse, before anything is built, what can make a small text large or strange. Raises DataError."""
    keys: list[set[str] | None] = []
    is_key: list[bool] = []
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        where = f"{source}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"{where} uses the YAML alias *{event.anchor}, expected plain values: write them out")
        if isinstance(event, yaml.CollectionEndEvent):
            keys.pop()
            is_key.pop()
            continue
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            continue
        if event.tag is not None and event.tag != "!":
            raise DataError(f"{where} uses the YAML tag {event.tag}, expected plain values: remove it")
        _check_key(event, keys, is_key, where)
        if isinstance(event, yaml.CollectionStartEvent):
            keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            is_key.append(False)
            if len(keys) > _DEPTH:
                raise DataError(f"{where} nests deeper than {_DEPTH}, expected a data.yaml of a few levels")


def _check_key(event: Any, keys: list[set[str] | None], is_key: list[bool], where: str) -> None:
    """In a mapping every other event is a key; each must be text, and new."""
    if not keys or keys[-1] is None:
        return
    is_key[-1] = not is_key[-1]
    if not is_key[-1]:
        return
    if not isinstance(event, yaml.ScalarEvent):
        raise DataError(f"{where} has a list or mapping as a key, expected a name or number")
    if event.value in keys[-1]:
        raise DataError(f"{where} has the key {event.value!r} twice, expected it once: the later would hide the earlier")
    keys[-1].add(event.value)
