import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data.formats import json_stream
from components.data.formats.text import LabelError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lists=st.dictionaries(st.text(max_size=4), st.lists(VALUES, max_size=4), max_size=4), other=VALUES, indent=st.sampled_from([None, 1])
)
def test_elements_are_those_of_the_standard_library_whatever_the_size_of_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, lists: dict[str, list[object]], other: object, indent: int | None
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    document = lists | {"the other": other}
    text = json.dumps(document, indent=indent)
    (tmp_path / "x.json").write_text(text)
    _, stream = json_stream.elements(tmp_path / "x.json", tuple(lists))
    found: dict[str, list[object]] = {name: [] for name in lists}
    for one in stream:
        assert one.number == len(found[one.name])
        found[one.name].append(one.value)
    assert found == {name: document[name] for name in lists}


def test_lines_are_those_an_editor_shows(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{\n"a": [1,\n\n {"x":\n2}, 3],\r\n"b": [\n4]}')
    _, stream = json_stream.elements(tmp_path / "x.json", ("a", "b"))
    assert [(one.line, one.value) for one in stream] == [(2, 1), (4, {"x": 2}), (5, 3), (7, 4)]


def test_memory_holds_a_piece_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 1 << 16)
    with (tmp_path / "x.json").open("w") as file:
        file.write('{"a": [' + ",\n".join([json.dumps({"id": 1, "counts": "x" * 10_000})] * 500) + "]}")
    tracemalloc.start()
    _, stream = json_stream.elements(tmp_path / "x.json", ("a",))
    assert sum(1 for _ in stream) == 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20 < (tmp_path / "x.json").stat().st_size / 4


def test_an_error_early_in_a_long_file_is_told_without_reading_on(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": [\n{"x": oops},\n' + '{"y": 1},\n' * 1_000_000 + "1]}")
    _, stream = json_stream.elements(tmp_path / "x.json", ("a",))
    with pytest.raises(LabelError, match="not valid JSON") as raised:
        list(stream)
    assert raised.value.line == 2


def test_an_element_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_ELEMENT_LIMIT", 1 << 20)
    (tmp_path / "x.json").write_text('{"a": ["' + "x" * (5 << 20) + '"]}')
    with pytest.raises(LabelError) as raised:
        list(json_stream.elements(tmp_path / "x.json", ("a",))[1])
    assert raised.value.code == "label-too-large"
