"""docs/findings.md: every code a scan may tell, written from the catalogue by `python -m tests.contract.findings_page`."""

from components.data.codes import corrections, files, labels, sets
from tests.imports import ROOT

PAGE = ROOT / "docs" / "findings.md"
FAMILIES = {"Files": files.CODES, "Labels": labels.CODES, "Sets": sets.CODES, "Corrections": corrections.CODES}


def page() -> str:
    """The page's text; words in braces are filled in by the finding."""
    kinds = (
        "*Bad* had to be left out. A *note* asks you to look; copies, hidden files and a system's own are notes, and left out all the same."
    )
    filled = "What stands in {braces} is filled in by the finding itself."
    parts = [f"# Findings\n\nWhat `visionloop data check` and the `validate` stage may tell. {kinds}\n{filled}\n"]
    for name, codes in FAMILIES.items():
        rows = "".join(f"| `{code}` | {kind.severity} | {kind.expected} | {kind.remedy} |\n" for code, kind in sorted(codes.items()))
        parts.append(f"\n## {name}\n\n| code | | expected | what to do |\n|---|---|---|---|\n{rows}")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
