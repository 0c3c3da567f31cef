"""What every command of the command line is made of."""

import argparse
import json
from collections.abc import Callable
from typing import Any

TASKS = ("classification", "detection")
Handler = Callable[[argparse.Namespace], int]


def command(commands: Any, name: str, help_text: str, example: str, handler: Handler) -> argparse.ArgumentParser:
    """Add a command with its help and an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=handler)
    return parser


def project() -> Any:
    """The paths of the project around the current folder."""
    from pipelines.paths import Paths, find_root

    return Paths(find_root())


def print_json(value: Any) -> None:
    """Print a command's answer as `--json` asks for it."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def fraction(text: str) -> float:
    """A number of 0..1, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0..1")
    return value
