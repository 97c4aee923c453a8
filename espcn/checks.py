"""Validation of settings: each error names the setting, the rule, the value and the remedy.

Text is quoted where another kind of value is required, so that '3' differs from 3, and unquoted
where a word or a path is required, as on the command line.
"""

import difflib
import math
from collections.abc import Collection
from typing import Any


def integer(name: str, value: Any, least: int, remedy: str, most: int = 2**31 - 1) -> None:
    """Check that a setting is a whole number within a range.

    Args:
        name: The setting's name, for the message.
        value: The value given; true and false are not numbers, nor is text.
        least: The smallest allowed value.
        remedy: What to do instead, for the message.
        most: The largest allowed value.

    Raises:
        ValueError: The check fails.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        few = f"must be a whole number of at least {least}"
        rule = few if not isinstance(value, int) or value <= most else f"must be at most {most}"
        raise ValueError(f"`{name}` (={value!r}) {rule}: {remedy}")


def fraction(name: str, value: Any, remedy: str) -> None:
    """Check that a setting is a number from 0 to 1.

    Args:
        name: The setting's name, for the message.
        value: The value given.
        remedy: What to do instead, for the message.

    Raises:
        ValueError: The check fails.
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` (={value!r}) must be a fraction, 0 to 1: {remedy}")


def truth(name: str, value: Any) -> None:
    """Check that a setting is true or false.

    Args:
        name: The setting's name, for the message.
        value: The value given; Hydra parses yes, no, on and off as text, which Python treats as
            true.

    Raises:
        ValueError: The check fails.
    """
    if not isinstance(value, bool):
        raise ValueError(
            f"`{name}` (={value!r}) must be true or false: say {name}=true or {name}=false"
        )


def name_list(name: str, value: Any, remedy: str) -> None:
    """Check that a setting is a list of names.

    Args:
        name: The setting's name, for the message.
        value: The value given.
        remedy: What to do instead, for the message.

    Raises:
        ValueError: The check fails.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"`{name}` (={value!r}) must be a list of names: {remedy}")


def number(
    name: str,
    value: Any,
    remedy: str,
    above: float | None = None,
    least: float = 0.0,
    most: float = math.inf,
) -> None:
    """Check that a setting is a finite number within a range, by default of at least 0.

    Args:
        name: The setting's name, for the message.
        value: The value given.
        remedy: What to do instead, for the message.
        above: A bound that the value must exceed.
        least: The smallest allowed value.
        most: The largest allowed value.

    Raises:
        ValueError: The check fails.
    """
    if _is_number(value) and least <= value <= most and (above is None or value > above):
        return
    if above is not None:
        rule = f"a number above {above:g}"
    elif most < math.inf:
        rule = f"a number of {least:g} to {most:g}"
    else:
        rule = f"a number of at least {least:g}" if least > -math.inf else "a number"
    raise ValueError(f"`{name}` (={value!r}) must be {rule}: {remedy}")


def choice(name: str, value: Any, choices: Collection[str], besides: str = "") -> None:
    """Check that a setting is one of several words.

    Args:
        name: The setting's name, for the message.
        value: The value given.
        choices: The allowed words.
        besides: What else is allowed, for the message.

    Raises:
        ValueError: The check fails.
    """
    if value not in list(choices):
        meant = nearest(str(value), choices)
        hint = f": did you mean {meant}?" if meant else ""
        words = ", ".join(choices) + (f", or {besides}" if besides else "")
        raise ValueError(f"`{name}` (={value}) must be one of {words}{hint}")


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that was probably meant.

    Args:
        word: An unknown word.
        known: The known words.

    Returns:
        The closest match; None if none is close.
    """
    by_small = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), by_small, 1)
    return by_small[near[0]] if near else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
