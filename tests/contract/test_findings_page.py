"""docs/findings.md lists the codes there are."""

from components.data.findings import CODES
from tests.contract.findings_page import FAMILIES, PAGE, page


def test_the_page_is_that_of_today_s_catalogue() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tests.contract.findings_page"


def test_no_family_is_missing_and_no_code_stands_in_two() -> None:
    assert sum(map(len, FAMILIES.values())) == len(CODES)
