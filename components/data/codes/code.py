"""What every kind of finding is: how grave, what would have been right, and how to mend it."""

from dataclasses import dataclass

BAD = "bad"
NOTE = "note"


@dataclass(frozen=True)
class Code:
    """One kind of finding; both texts may hold `{names}` that the finding fills in.

    `severity` is "bad" for what had to be left out, "note" for what had not.
    """

    expected: str
    remedy: str
    severity: str = BAD
