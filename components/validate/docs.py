"""The data docs: one page a dataset that needs nothing from outside, what failed first."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from html import escape
from pathlib import Path
from typing import Any

from components.validate.judge import Judgement, Result

_STYLE = """
:root{--ink:#1f2933;--faint:#66727f;--line:#dfe4ea;--card:#fff;--back:#f4f6f8;--good:#1f7a4d;--bad:#b42318;--warn:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--faint:#9aa5b1;--line:#39424d;--card:#1d2329;--back:#14181c;--good:#57c78e;--bad:#ff8577;--warn:#e3b341}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);margin:0 auto;max-width:78rem;padding:2rem 1.5rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.2rem;margin:2rem 0 .6rem}h5{font-size:1rem;margin:1.2rem 0 .4rem}h6{margin:.5rem 0}
a{color:inherit}p{margin:.2rem 0}.faint{color:var(--faint)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1.2rem;margin:.8rem 0;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}th{text-align:left;color:var(--faint);font-weight:600}
td,th{border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0;vertical-align:top}tbody tr:last-child td{border-bottom:0}
td ul{margin:0;padding-left:1.1rem}.rows{font-family:ui-monospace,monospace;font-size:.82rem;overflow-wrap:anywhere}
thead[hidden]{display:none}
.gx td:first-child{width:5rem}.gx td:nth-child(3){width:16rem}
i.fas{font-style:normal;font-weight:700}i.text-success::before{content:"\\2713";color:var(--good)}

i.text-danger::before{content:"\\2717";color:var(--bad)}i.text-warning::before{content:"!";color:var(--warn)}
.badge{border:1px solid var(--line);border-radius:.3rem;padding:0 .3rem;font-size:.85em}
"""
# Scripts, what would be loaded from outside, and ids that several tables would share.
_UNWANTED = re.compile(
    r"<(script|style)\b.*?</\1>|<(?:link|img|iframe)\b[^>]*>|\sid=\"?(?:section|content-block)[\w-]*\"?", re.DOTALL | re.IGNORECASE
)
_NOTHING_FROM_OUTSIDE = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"


def write_docs(folder: Path, title: str, facts: Mapping[str, object], stops: Sequence[str], judgement: Judgement) -> None:
    """Write index.html to `folder`: the verdict, `facts` about the dataset, why a run must `stop`, every expectation.

    Below them stand Great Expectations' own pages, table by table, without scripts and without what they would load.
    """
    unmet = [one for one in judgement.results if not one.success]
    parts = [f"<h1>{escape(title)}</h1>", _verdict(judgement.results, stops), _facts(facts), _stops(stops)]
    if unmet:
        parts.append(f"<h2>Not met</h2>{_table(unmet)}")
    parts.append(f"<h2>Met</h2>{_table([one for one in judgement.results if one.success])}")
    parts += [f'<h2 id="{name}">{name}</h2><div class="card gx">{shown}</div>' for name, shown in _sections(judgement).items()]
    folder.mkdir(parents=True, exist_ok=True)
    head = f'<meta charset="utf-8">{_NOTHING_FROM_OUTSIDE}<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    page = f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    (folder / "index.html").write_text(page, encoding="utf-8")


def _verdict(results: Sequence[Result], stops: Sequence[str]) -> str:
    unmet = [one for one in results if not one.success]
    failed = sum(one.stops for one in unmet)
    counts = f"{len(results) - len(unmet)} of {len(results)} expectations are met"
    if stops or failed:
        return f'<p class="bad"><b>Validation failed.</b> {counts}; not met: {failed} critical, {len(unmet) - failed} other.</p>'
    return f'<p class="good"><b>Validation passed.</b> {counts}.</p>'


def _facts(facts: Mapping[str, object]) -> str:
    return '<p class="faint">' + " · ".join(f"{escape(name)} {escape(str(value))}" for name, value in facts.items()) + "</p>"


def _stops(stops: Sequence[str]) -> str:
    return "".join(f'<div class="card bad">{escape(reason)}</div>' for reason in stops)


def _table(results: Sequence[Result]) -> str:
    head = "<tr><th></th><th>table</th><th>column</th><th>expectation</th><th>severity</th><th>observed</th><th>rows</th></tr>"
    return f'<div class="card"><table><thead>{head}</thead><tbody>{"".join(map(_line, results))}</tbody></table></div>'


def _line(one: Result) -> str:
    mark = "✓" if one.success else "✗" if one.stops else "!"
    color = "good" if one.success else "bad" if one.stops else "warn"
    cells = [f'<span class="{color}">{mark}</span>', f'<a href="#{one.table}">{one.table}</a>']
    cells += [escape(one.column), f'{escape(one.expectation)}<p class="faint">{escape(one.notes)}</p>']
    cells += [escape(one.severity), escape(one.observed)]
    cells.append(f'<span class="rows">{"<br>".join(map(escape, one.rows))}</span>')
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _sections(judgement: Judgement) -> dict[str, str]:
    """Each table's results as Great Expectations renders them, section by section, without its page around them.

    It escapes nothing of what was found, and what was found may be the name of a file.
    """
    if not judgement.outcomes:
        return {}
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaSectionView

    view: Any = DefaultJinjaSectionView()
    sections = {}
    for name, outcome in judgement.outcomes.items():
        safe = copy(outcome)
        safe.results = [copy(one) for one in outcome.results]
        for one in safe.results:
            one.result = _escaped(one.result)
        shown = ValidationResultsPageRenderer().render(safe).sections[1:]  # the first holds counts and the time of day
        pages = (view.render({"section": one.to_json_dict(), "section_loop": {"index": place}}) for place, one in enumerate(shown, start=1))
        sections[name] = _UNWANTED.sub("", "\n".join(pages))
    return sections


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _escaped(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return escape(value) if isinstance(value, str) else value
