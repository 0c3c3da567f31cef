"""A dataset's own columns: which there are, what an image's rows say together, and names that mean none of them."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.data import tables
from components.data.formats import read_dataset
from components.data.formats.csv_columns import joined
from components.data.tables import PREFIX, SEVERAL, column_names, column_of, refuse_unknown_columns
from components.errors import DataError, UsageError
from tests.components.data.formats.laid_out import table
from tests.components.data.formats.test_csv import OPEN_IMAGES


def own(root: Path, text: str, task: str, *named: str) -> dict[str, list[str | None]]:
    """The further columns of a CSV file, each with the texts of a.png and b.png."""
    images = read_dataset(table(root, text), task, "csv", *named).images
    assert list(images["path"]) == ["images/a.png", "images/b.png"]
    return {name: list(images[name]) for name in images if name.startswith(PREFIX)}


def test_what_a_header_names_beside_what_is_known_is_carried_along(tmp_path: Path) -> None:
    text = "image,label,split,group,Camera , width,height,note,,Camera\na.png,cat,train,g, north ,40,20,,x,1\nb.png,dog,test,h,,40,20,,y,2\n"
    # Recognised ones (size, split, group) are not; of two of one name it is the first; a column without a name is none.
    assert own(tmp_path, text, "classification") == {"csv.Camera": ["north", None], "csv.note": [None, None]}
    assert own(tmp_path, "image,label\na.png,cat\nb.png,dog\n", "classification") == {}
    assert own(tmp_path, "images/a.png,cat\nimages/b.png,dog\n", "classification") == {}


def test_a_column_that_groups_can_be_sliced_by_too(tmp_path: Path) -> None:
    text = "image,label,site\na.png,cat,north\nb.png,dog,south\n"
    assert own(tmp_path, text, "classification", "site") == {"csv.site": ["north", "south"]}


def test_rows_of_one_image_speak_together(tmp_path: Path) -> None:
    rows = ["a.png,0,0,20,10,cat,north,1", "a.png,20,0,40,10,cat,,0", "a.png,0,10,20,20,cat,north,1", "b.png,0,0,20,10,cat,,0"]
    text = "\n".join(["image,xmin,ymin,xmax,ymax,class,camera,occluded", *rows]) + "\n"
    assert own(tmp_path, text, "detection") == {"csv.camera": ["north", None], "csv.occluded": [SEVERAL, "0"]}
    assert joined(joined(joined(None, "x"), "y"), "x") == SEVERAL


def test_open_images_columns_of_boxes(tmp_path: Path) -> None:
    images = read_dataset(table(tmp_path, OPEN_IMAGES), "detection").images
    assert images["csv.Source"].tolist() == ["xclick"] and images["csv.IsOccluded"].tolist() == [SEVERAL]
    assert not {"csv.LabelName", "csv.Confidence", "csv.IsGroupOf"} & set(images)


def test_tables_keep_them_after_their_own_columns_and_nothing_else(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"image_id": "a", "csv.camera": "north"}, {"image_id": "b", "csv.camera": None}]
    file = tmp_path / "images.parquet"
    tables.write(tables.frame(rows, tables.IMAGES), file, tables.IMAGES)
    back = tables.read(file, tables.IMAGES)
    assert list(back) == [*tables.IMAGES.names, "csv.camera"] and back["csv.camera"].tolist()[0] == "north"
    assert back["csv.camera"].isna().tolist() == [False, True]
    pq.write_table(pq.read_table(file).rename_columns([*tables.IMAGES.names, "camera"]), file)
    with pytest.raises(DataError, match=r"holds the columns .*'camera'\], expected"):
        tables.read(file, tables.IMAGES)


def test_the_tables_own_column_goes_before_the_datasets_of_that_name() -> None:
    images = pd.DataFrame(columns=["image_id", "split", "format", "csv.format", "csv.camera", "csv.split"])
    assert {name: column_of(images, name) for name in ("format", "csv.format", "camera", "split", "image_id", "colour")} == {
        "format": "format",
        "csv.format": "csv.format",
        "camera": "csv.camera",
        "split": "csv.split",
        "image_id": None,
        "colour": None,
    }
    assert column_names(images) == ["format", "csv.format", "camera", "split"]


def test_a_name_that_no_dataset_has_is_refused_with_those_there_are() -> None:
    found = {"classification": pd.DataFrame(columns=["format", "csv.camera"]), "detection": pd.DataFrame(columns=["format"])}
    refuse_unknown_columns(["camera", "format"], found)
    listed = "expected columns of the images table: classification has format, camera; detection has format"
    with pytest.raises(UsageError, match=rf"evaluate.slices names 'kamera', {listed}; did you mean camera\?"):
        refuse_unknown_columns(["camera", "kamera"], found)
    with pytest.raises(UsageError, match=f"names 'weather', {listed}; correct it in params.yaml"):
        refuse_unknown_columns(["weather"], found)
