"""Data: an upload is read, its columns are mapped, it is checked and saved."""

import pytest

from tests.conftest import reviews
from tests.pages.conftest import fresh, opened, scored, words


@pytest.fixture
def uploaded(app):
    """The page with a table uploaded, whose columns have names of their own."""
    app = opened(app, "data.py")
    table = reviews(120).table.rename(columns={"text": "what they wrote", "label": "topic"})
    content = table.to_csv(index=False).encode()
    app.file_uploader(key="upload").set_value(("reviews of things.csv", content, "text/csv")).run()
    assert not app.exception
    return app


def test_columns_are_guessed_and_the_checked_table_is_saved_under_a_name_from_the_file(uploaded, store):
    assert "Data check" in words(uploaded)
    next(button for button in uploaded.button if button.label == "Save data set").click().run()
    (row,) = store.datasets()
    assert (row.name, row.columns) == ("reviews of things", {"input": "what they wrote", "label": "topic"})
    assert sum(row.splits.values()) == 120


def test_the_header_is_detected_unless_a_person_says_otherwise(uploaded):
    header = uploaded.button_group(key="upload-header")
    assert header.value == "Auto-detect"
    header.set_value("No header").run()
    assert not uploaded.exception
    assert "topic" in uploaded.dataframe[0].value.iloc[0].tolist()


def test_without_a_split_column_the_studio_splits(uploaded):
    split = next(box for box in uploaded.selectbox if box.label.startswith("Split"))
    assert (split.value, split.options[0]) == (None, "Let the studio split")


def test_a_required_column_that_is_missing_is_asked_for_and_nothing_can_be_saved(app):
    app = opened(app, "data.py")
    app.file_uploader(key="upload").set_value(("texts.csv", b"text\none\ntwo\nthree\n", "text/csv")).run()
    assert not app.exception
    assert "Choose a column for: label" in app.info[0].value
    assert not [button for button in app.button if button.label == "Save data set"]


def test_among_the_tasks_that_fit_the_likeliest_is_proposed_and_another_can_be_chosen(app, store):
    app = opened(app, "data.py")
    content = scored().table.to_csv(index=False).encode()
    app.file_uploader(key="upload").set_value(("pairs.csv", content, "text/csv")).run()
    assert not app.exception
    task = next(box for box in app.selectbox if box.label == "Task")
    assert (task.value, "Text classification" in task.options) == ("regression", True)
    assert "Rows per range" in words(app)
    columns = {box.label: box.value for box in app.selectbox if box.label.endswith(" column")}
    assert columns == {
        "Text column": "sentence1", "Second text column": "sentence2", "Score column": "score", "Split column": None
    }  # fmt: skip
    task.set_value("sentence-pair-classification").run()
    assert "Label column" in [box.label for box in app.selectbox]
    task = next(box for box in app.selectbox if box.label == "Task").set_value("regression").run()
    next(button for button in app.button if button.label == "Save data set").click().run()
    (row,) = store.datasets()
    assert (row.task, row.columns["pair"]) == ("regression", "sentence2")
    assert fresh_table(app)["Task"].tolist() == ["Regression"]


def fresh_table(app):
    """The saved data sets as a new window lists them."""
    return opened(fresh(), "data.py").dataframe[-1].value
