"""Data: an upload is read, its columns are mapped, it is checked and saved."""

import io
import zipfile

import pytest

from pages import _data_card as card
from pages import _kept_upload
from pages._language import in_language
from studio.config.reading import parse_config
from studio.data.refused import Refused
from studio.service.people import Person
from tests.conftest import TINY, reviews
from tests.data.test_known_forms import pictures
from tests.pages.conftest import fresh, opened, scored, words, written


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
    assert "Text classification: 120 rows, 2 labels" in words(uploaded)
    next(button for button in uploaded.button if button.label == "Save data set").click().run()
    (row,) = store.datasets()
    assert (row.name, row.columns) == ("reviews of things", {"input": "what they wrote", "label": "topic"})
    assert sum(row.splits.values()) == 120


def test_signs_that_turn_a_line_round_turn_none_in_the_grid_and_in_lists_of_columns(app):
    app = opened(app, "data.py")
    table = reviews(60).table.set_axis(["te\u202ext", "topic\u2066"], axis=1)
    table.iloc[0, 0] += " \u202egnp.exe"
    content = table.to_csv(index=False).encode()
    app.file_uploader(key="upload").set_value(("some.csv", content, "text/csv")).run()
    assert not app.exception
    shown = [*app.multiselect[0].options, *next(one for one in app.selectbox if one.label == "Label column").options]
    assert {"te\ufffdxt", "topic\ufffd"} <= set(shown)
    grid = app.dataframe[0]
    assert grid.value.iloc[0, 0].endswith("\ufffdgnp.exe")
    heads = grid.proto.columns.encode().decode("unicode_escape")
    assert "te\ufffdxt" in heads and "topic\ufffd" in heads
    next(button for button in app.button if button.label == "Save data set").click().run()
    assert not app.exception


def test_rows_that_are_not_added_are_counted_and_can_be_downloaded(app, saved):
    app = opened(app, "data.py")
    content = b"text,label\na new one,good\n,bad\n  ,good\nanother one,bad\n"
    app.file_uploader(key=f"more-{saved.id}").set_value(("more.csv", content, "text/csv")).run()
    app.button(key=f"grow-{saved.id}").click().run()
    told = words(app).replace("\\", "")
    assert "2 rows were added" in told and "2 rows left out, lines 3, 4" in told and "Encoding utf-8, comma" in told
    assert "2 rows left out: lines and reasons" in [one.label for one in app.get("download_button")]


def test_of_an_upload_nothing_is_left_on_the_disk_when_it_has_been_saved(uploaded, home):
    assert [file.name for file in home.uploads.glob("*/name")] == ["name"]
    next(button for button in uploaded.button if button.label == "Save data set").click().run()
    assert not uploaded.exception
    assert list(home.uploads.iterdir()) == []
    assert "upload" not in uploaded.query_params


def with_a_rare_label_mended(app):
    """The Data page with 120 good reviews; one more, whose label nothing else has, is left out."""
    app = opened(app, "data.py")
    table = reviews(120).table
    content = (table.to_csv(index=False) + f"{table['text'][0]},odd\n").encode()
    app.file_uploader(key="upload").set_value(("some.csv", content, "text/csv")).run()
    app.button(key="mend-rare").click().run()
    return app


def test_a_reload_finds_the_upload_again_with_what_was_mended(app, home):
    app = with_a_rare_label_mended(app)
    again = opened(fresh(), "data.py", **{name: app.query_params[name] for name in ("upload", "mends")})
    assert "120 rows, 2 labels" in words(again)
    assert "Labels with few rows are left out." in words(again)
    again.button(key="remove-upload").click().run()
    assert "120 rows" not in words(again)
    assert list(home.uploads.iterdir()) == []


@pytest.mark.parametrize("token", ["x" * 22, "../../etc/passwd", ""])
def test_an_upload_that_is_gone_leaves_the_page_as_it_is_at_first(app, token):
    app = opened(app, "data.py", upload=token)
    assert not app.error
    assert app.file_uploader(key="upload")


def test_after_saving_there_is_one_way_on_and_no_word_of_what_was_wrong(app, store):
    app = with_a_rare_label_mended(app)
    next(button for button in app.button if button.label == "Save data set").click().run()
    assert "Saved as some" in words(app)
    assert "few rows" not in words(app)
    assert "Save data set" not in [button.label for button in app.button]
    app.button(key="use-saved").click().run()
    assert app.title[0].value == "New run"
    assert app.query_params["dataset"] == "1"


def test_labels_that_are_near_are_a_question_and_joined_by_a_click_alone(app, store):
    app = opened(app, "data.py")
    rows = [f"text {number},{label}" for number, label in enumerate(["delivery", "refund"] * 42 + ["delievery"] * 8)]
    app.file_uploader(key="upload").set_value(("near.csv", "\n".join(["text,label", *rows]).encode(), "")).run()
    assert "(8 against 42 rows): are they the same label?" in words(app).replace("\\", "")
    assert "92 rows, 3 labels" in words(app)
    app.button(key="mend-label_near:delievery").click().run()
    assert "92 rows, 2 labels" in words(app)
    app.button(key="unmend-label_near:delievery").click().run()
    assert "92 rows, 3 labels" in words(app)


def test_of_a_cell_of_megabytes_a_browser_gets_the_beginning(app, store, home):
    app = opened(app, "data.py")
    content = "text,label\n" + "".join(f"{number} {'x' * 100_000},{'ab'[number % 2]}\n" for number in range(20))
    app.file_uploader(key="upload").set_value(("long.csv", content.encode(), "text/csv")).run()
    assert app.dataframe[0].value["text"].str.len().max() == 2_000
    assert "20 rows" in words(app)


def test_an_upload_is_found_by_the_person_who_brought_it_alone(uploaded, home, monkeypatch):
    token = uploaded.query_params["upload"]
    with monkeypatch.context() as other:
        other.setattr(_kept_upload, "get_person", lambda: Person("eve", "member", "eve@example.org"))
        eve = opened(fresh(), "data.py", upload=token)
    assert "120 rows" not in words(eve)
    assert "upload" not in eve.query_params
    assert (home.uploads / token / "file").is_file()
    assert "120 rows" in words(opened(fresh(), "data.py", upload=token))


def test_a_file_that_is_taken_out_of_the_uploader_is_gone(uploaded, home):
    uploaded.file_uploader(key="upload").set_value(None).run()
    assert "120 rows" not in words(uploaded)
    assert list(home.uploads.iterdir()) == []
    assert "upload" not in uploaded.query_params


def test_what_was_mended_in_one_upload_is_not_mended_in_the_next_one(app):
    app = opened(app, "data.py")
    for name in ("first", "second"):
        table = reviews(120).table.assign(source=name)
        content = (table.to_csv(index=False) + f"{table['text'][0]},odd,{name}\n").encode()
        app.file_uploader(key="upload").set_value((f"{name}.csv", content, "text/csv")).run()
        assert "121 rows, 3 labels" in words(app)
        app.button(key="mend-rare").click().run()
        assert "120 rows, 2 labels" in words(app)


@pytest.mark.parametrize("token", ["x" * 22, ""])
def test_mendings_without_their_upload_do_not_wait_for_another_one(app, token):
    app = opened(app, "data.py", upload=token, mends="rare")
    assert "mends" not in app.query_params
    assert ("no longer here" in words(app)) == bool(token)


def test_several_columns_can_be_read_as_one_text(app, store):
    app = opened(app, "data.py")
    rows = reviews(120).table.assign(title=[f"film {number}" for number in range(120)])
    app.file_uploader(key="upload").set_value(("films.csv", rows.to_csv(index=False).encode(), "text/csv")).run()
    next(box for box in app.selectbox if box.label == "Task").set_value("text-classification").run()
    next(box for box in app.multiselect if box.label == "Text column").set_value(["title", "text"]).run()
    assert not app.exception
    next(button for button in app.button if button.label == "Save data set").click().run()
    (row,) = store.datasets()
    assert row.columns == {"input": "title + text", "label": "label"}


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("Subject", "Description", "label"), {"input": "Subject + Description", "label": "label"}),
        (("instruction", "input", "output"), {"input": "instruction + input", "pair": "output"}),
    ],
)
def test_columns_that_are_guessed_to_be_one_text_are_both_chosen(app, store, names, columns):
    app, table = opened(app, "data.py"), reviews(120).table
    rows = table.assign(more=table["text"].str.upper())[["text", "more", "label"]].set_axis(list(names), axis=1)
    app.file_uploader(key="upload").set_value(("rows.csv", rows.to_csv(index=False).encode(), "text/csv")).run()
    assert not app.exception
    next(button for button in app.button if button.label == "Save data set").click().run()
    assert [row.columns for row in store.datasets()] == [columns]


def test_a_file_is_fetched_from_its_address_and_saved_under_its_name(app, store, monkeypatch):
    from studio.service import web

    def download(address, folder, tell):
        reviews().table.to_csv(folder / "file", index=False)
        tell(10, 100)
        return web.Fetched(folder / "file", "films.csv")

    monkeypatch.setattr(web, "download", download)
    app = opened(app, "data.py")
    app.text_input(key="remote-name").set_value("https://files.example/a/films.csv")
    next(button for button in app.button if button.label == "Fetch").click().run()
    assert not app.exception and not app.error
    next(button for button in app.button if button.label == "Save data set").click().run()
    assert [row.name for row in store.datasets()] == ["films"]


def test_what_is_no_address_is_told(app):
    app = opened(app, "data.py")
    app.text_input(key="remote-name").set_value("films.csv")
    next(button for button in app.button if button.label == "Fetch").click().run()
    assert "neither an address" in app.error[0].value


def test_rows_that_are_left_out_can_be_downloaded(app):
    app = opened(app, "data.py")
    rows = reviews(120).table
    rows.loc[3, "text"] = " "
    app.file_uploader(key="upload").set_value(("films.csv", rows.to_csv(index=False).encode(), "text/csv")).run()
    assert not app.exception
    (button,) = app.get("download_button")
    assert button.proto.label == "1 row left out: lines and reasons"


def test_the_header_is_detected_unless_a_person_says_otherwise(uploaded):
    header = uploaded.button_group(key="upload-header")
    assert header.value == "Auto-detect"
    header.set_value("None").run()
    assert not uploaded.exception
    assert "topic" in uploaded.dataframe[0].value.iloc[0].tolist()


def test_a_file_with_a_bad_byte_is_read_when_its_encoding_is_named(app):
    app = opened(app, "data.py")
    rows = [f"größer {number},{'grün' if number % 2 else 'rot'}".encode() for number in range(60)]
    content = b"\n".join([b"text,label", *rows, b"kaputt \xff,gr\xc3\xbcn"])
    app.file_uploader(key="upload").set_value(("umlauts.csv", content, "text/csv")).run()
    assert "naming the encoding" in " ".join(error.value for error in app.error)
    app.text_input(key="upload-encoding").set_value("utf-8").run()
    assert not app.exception and not app.error
    assert "1 line holds bytes that are not utf-8" in words(app).replace("\\", "")


def test_a_delimiter_that_is_named_is_taken(app):
    app = opened(app, "data.py")
    content = "\n".join(
        ["text~label", *(f"a, b and c {n}~{'yes' if n % 2 else 'no'}, sure" for n in range(60))]
    ).encode()
    app.file_uploader(key="upload").set_value(("odd.csv", content, "text/csv")).run()
    app.text_input(key="upload-delimiter").set_value("~").run()
    assert not app.exception and not app.error
    assert list(app.dataframe[0].value.columns) == ["text", "label"]


def test_without_a_split_column_the_studio_splits(uploaded):
    split = next(box for box in uploaded.selectbox if box.label.startswith("Split"))
    assert (split.value, split.options[0]) == (None, "Let the studio split")


def test_a_required_column_that_is_missing_is_asked_for_and_nothing_can_be_saved(app):
    app = opened(app, "data.py")
    table = b"first,second\none,red\ntwo,blue\nthree,green\n"
    app.file_uploader(key="upload").set_value(("texts.csv", table, "text/csv")).run()
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
    boxes = [*app.multiselect, *app.selectbox]
    columns = {box.label: box.value for box in boxes if box.label.endswith(" column")}
    assert columns == {
        "Text column": ["sentence1"], "Second text column": ["sentence2"], "Score column": "score", "Split column": None
    }  # fmt: skip
    task.set_value("sentence-pair-classification").run()
    assert "Label column" in [box.label for box in app.selectbox]
    task = next(box for box in app.selectbox if box.label == "Task").set_value("regression").run()
    next(button for button in app.button if button.label == "Save data set").click().run()
    (row,) = store.datasets()
    assert (row.task, row.columns["pair"]) == ("regression", "sentence2")
    assert "Regression · 50 train" in words(opened(fresh(), "data.py"))


def test_of_many_classes_the_most_and_the_least_frequent_are_drawn_and_all_at_a_click(app):
    rows = [f"text {number} {copy},class {number}" for number in range(77) for copy in range(3 + number % 5)]
    app = opened(app, "data.py")
    content = "\n".join(["text,label", *rows]).encode()
    app.file_uploader(key="upload").set_value(("many.csv", content, "text/csv")).run()
    assert not app.exception
    few, every = (one.proto.body for one in app.get("html") if 'class="bar"' in one.proto.body)
    assert few.count('class="bar"') == 12
    assert every.count('class="bar"') == 77
    assert "The 9 most frequent and the 3 least frequent of 77." in words(app)


def test_what_was_brought_is_said_in_a_sentence(uploaded):
    assert "Text classification: 120 rows, 2 labels" in words(uploaded).replace("\\", "")


def test_a_data_set_is_renamed_on_its_card(app, saved, store):
    app = opened(app, "data.py")
    app.text_input(key=f"new-name-{saved.id}").set_value("better name").run()
    app.button(key=f"rename-{saved.id}").click().run()
    assert [row.name for row in store.datasets()] == ["better name"]


def test_a_data_set_that_a_run_uses_cannot_be_deleted_and_another_one_can(app, filled, saved, pairs, store):
    app = opened(app, "data.py")
    assert app.button(key=f"delete-{saved.id}").disabled
    app.button(key=f"delete-{pairs.id}").click().run()
    assert [row.name for row in store.datasets()] == ["reviews"]
    assert "Used by 3 runs." in words(opened(fresh(), "data.py"))


def test_the_first_rows_of_a_data_set_can_be_looked_at(app, saved):
    app = opened(app, "data.py")
    app.button(key=f"preview-{saved.id}").click().run()
    assert "thing number" in written(app)


def test_labels_are_offered_to_be_written_alike_before_conflicting_rows_are_left_out(app):
    app = opened(app, "data.py")
    table = reviews(120).table
    odd = f"{table['text'][0]},{table['label'][0].upper()}\n"
    app.file_uploader(key="upload").set_value(
        ("some.csv", (table.to_csv(index=False) + odd).encode(), "text/csv")
    ).run()
    offered = [button.key for button in app.button if (button.key or "").startswith("mend-")]
    assert offered.index("mend-label_spelling") < offered.index("mend-conflicts")
    app.button(key="mend-label_spelling").click().run()
    assert "mend-conflicts" not in {button.key for button in app.button}


def test_a_data_set_in_use_says_which_runs_have_to_go_first(app, store, saved):
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    blocks = _blocks(opened(app, "data.py").main)
    helps = [block.proto.popover.help for block in blocks if block.type == "popover"]
    assert "Run 1 uses it: delete that first." in helps


def _blocks(block):
    for child in block.children.values():
        if hasattr(child, "children"):
            yield child
            yield from _blocks(child)


def test_a_problem_is_mended_with_a_button_and_the_mending_taken_back(app, store):
    app = opened(app, "data.py")
    table = reviews(120).table
    odd = f"{table['text'][0]},odd\n"
    content = (table.to_csv(index=False) + odd).encode()
    app.file_uploader(key="upload").set_value(("some.csv", content, "text/csv")).run()
    assert "3 labels" in words(app)
    app.button(key="mend-rare").click().run()
    assert "Labels with few rows are left out. 1 row went." in words(app)
    assert "row left out, line" not in words(app)  # that is no problem of the file, and stands above
    assert "120 rows, 2 labels" in words(app)
    app.button(key="unmend-rare").click().run()
    assert "3 labels" in words(app)
    app.button(key="mend-conflicts").click().run()
    next(button for button in app.button if button.label == "Save data set").click().run()
    assert sum(store.datasets()[0].splits.values()) == 119


def test_words_with_tags_are_uploaded_as_a_conll_file(app):
    app = opened(app, "data.py")
    sentences = [f"Anna B-person\nlives O\nin O\nBonn{number} B-place\n" for number in range(60)]
    app.file_uploader(key="upload").set_value(("people.conll", "\n".join(sentences).encode(), "")).run()
    assert not app.exception
    assert "Token classification: 60 rows" in words(app)


def test_several_labels_of_an_image_are_shown_one_after_the_other(app):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in pictures([f"{number}.png" for number in range(20)]).items():
            archive.writestr(name, data)
        rows = "".join(f"{number}.png,cat\n" for number in range(20))
        archive.writestr("a.csv", f"file,label\n0.png,cat\n0.png,dog\n{rows}")
    app = opened(app, "data.py")
    app.file_uploader(key="upload").set_value(("a.zip", file.getvalue(), "")).run()
    assert not app.exception
    assert [image.caption for image in app.get("image")[0].proto.imgs][:2] == ["cat, dog", "cat"]


def test_the_page_takes_every_file_and_says_itself_what_it_cannot_read(app):
    app = opened(app, "data.py")
    assert not app.file_uploader(key="upload").proto.type
    app.file_uploader(key="upload").set_value(("terms.pdf", b"%PDF-1.7\n...", "application/pdf")).run()
    assert "The file is a PDF" in app.error[0].value


def test_a_large_model_answers_prompts_which_become_a_data_set(app, store, monkeypatch):
    from studio.service import asking
    from studio.service.asking import Asked
    from studio.service.endpoint import Said

    def ask(home, prompts, teacher, answers, **how):
        assert (teacher.address, teacher.model, how["budget"].tokens) == ("https://host/v1", "large", 1_000_000)
        answers.said = {number: Said(f"Answer {number}", 5, 5) for number in range(len(prompts) - 1)}
        answers.said[len(prompts) - 1] = Said("", 5, 0)
        yield Asked(len(prompts) - 1, len(prompts), 0, tokens=200, refused=1, is_estimated=True)

    monkeypatch.setattr(asking, "ask", ask)
    app = opened(app, "data.py")
    content = "prompt,note\n,none\n" + "\n".join(f"What is {number}?,one" for number in range(21))
    app.file_uploader(key="answering-file").set_value(("prompts.csv", content.encode(), "text/csv")).run()
    app.text_input(key="answering-address").set_value("https://host/v1/").run()
    app.text_input(key="answering-model").set_value("large").run()
    assert "21 prompts: about" in words(app)
    assert "1 row without a prompt is left out." in words(app)
    app.button(key="answering-ask").click().run()
    assert not app.exception and not app.error
    assert "1 answer is left out: empty" in words(app)
    assert "This server counts no tokens" in words(app)
    (row,) = store.datasets()
    assert (row.name, row.task, sum(row.splits.values())) == ("large", "language-model", 20)


def test_a_model_of_this_machine_answers_prompts_on_the_page_also_those_that_are_cut_off(app, store, monkeypatch):
    from studio.service import asking
    from studio.service.asking import Asked
    from studio.service.endpoint import Said

    def ask(home, prompts, teacher, answers, **how):
        assert (teacher.model, teacher.most_tokens, how["budget"].tokens) == ("hub:someone/large", 256, None)
        answers.said = {number: Said(f"Answer {number}", 5, 5, is_cut=True) for number in range(len(prompts))}
        yield Asked(len(prompts), len(prompts), 0, tokens=200)

    monkeypatch.setattr(asking, "ask_here", ask)
    app = opened(app, "data.py")
    content = "prompt\n" + "\n".join(f"What is {number}?" for number in range(21))
    app.file_uploader(key="answering-file").set_value(("prompts.csv", content.encode(), "text/csv")).run()
    app.segmented_control(key="answering-where").set_value("On this machine").run()
    assert not [one for one in app.text_input if one.key == "answering-address"]
    app.text_input(key="answering-here").set_value("someone/large").run()
    assert app.error and not [one for one in app.button if one.key == "answering-ask"], "it is no reference"
    app.text_input(key="answering-here").set_value("hub:someone/large").run()
    app.checkbox(key="answering-cut").check().run()
    app.button(key="answering-ask").click().run()
    assert not app.exception and not app.error
    (row,) = store.datasets()
    assert (row.name, row.task, sum(row.splits.values())) == ("large", "language-model", 21)


def test_a_large_model_writes_new_prompts_on_the_page_after_those_that_are_brought(app, store, monkeypatch):
    from studio.service import asking
    from studio.service.asking import Asked
    from studio.service.endpoint import Said

    words_of = "abcdefghijklmnopqrst"

    def ask(home, prompts, teacher, answers, more=lambda answers: (), **how):
        is_list = teacher.most_tokens == 512
        assert how["budget"].tokens == 1_000_000 - (0 if is_list else 40)
        while prompts:
            for _ in prompts:
                number = len(answers.said)
                text = "\n".join(f"{place}. is {letter * 3} a secret or {letter * 4}"
                                 for place, letter in enumerate(words_of[10 * number :][:10]))  # fmt: skip
                answers.add(number, Said(text if is_list else f"Answer {number}", 10, 10))
            yield Asked(len(answers.said), len(prompts), 0, tokens=40)
            prompts = more(answers)

    monkeypatch.setattr(asking, "ask", ask)
    app = opened(app, "data.py")
    app.file_uploader(key="answering-file").set_value(
        ("p.csv", b"prompt,no\nwhat is a boat,1\nwho was here,2\n,3", "text/csv")
    ).run()
    app.text_input(key="answering-address").set_value("https://host/v1/").run()
    app.text_input(key="answering-model").set_value("large").run()
    app.number_input(key="answering-new").set_value(12).run()
    assert "12 new prompts are to be written, in 2 to 18 requests, and answered" in words(app)
    assert "1 row without a prompt is left out." in words(app)
    app.text_input(key="answering-new-without").set_value("(").run()
    assert "is no pattern" in app.error[0].value
    app.text_input(key="answering-new-without").set_value("aaa").run()
    app.button(key="answering-ask").click().run()
    assert not app.exception and not app.error
    assert "1 times left out: a new prompt that matches 'aaa'" in words(app)
    assert "12 of the prompts were written by the teacher after 2 examples." in words(app)
    (row,) = store.datasets()
    assert sum(row.splits.values()) == 14


def test_the_file_of_what_was_left_out_says_why_in_the_readers_language(monkeypatch):
    given = []
    monkeypatch.setattr(card.st, "download_button", lambda *told, **_: given.append(told))
    with in_language("zh"):
        card.download_refused([Refused.of("no input", [3], [",a"])], "key")
    assert "3,没有输入," in given[0][1]
