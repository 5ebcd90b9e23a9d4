"""Files as well-known collections come, in small: what they hold is told without a person's help."""

import csv
import io
import json
import zipfile

import pytest
from PIL import Image

from studio.data import uploads
from studio.data.columns import Columns, fitting, guess_columns
from studio.errors import DataError, LimitError

TEXTS = [f"the film number {number} was long and nobody laughed" for number in range(60)]
ONE_OF_3 = ("1.0,0.0,0.0", "0.0,1.0,0.0", "0.0,0.0,1.0")
REPLIES = [f"we saw it twice and liked it, said number {number}" for number in range(60)]


def opened(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return uploads.read(tmp_path / name)


def table(rows, **how):
    file = io.StringIO()
    csv.writer(file, **how).writerows(rows)
    return file.getvalue()


def packed(tmp_path, files):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return uploads.read(tmp_path / "data.zip")


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, 9, 9)).save(file, "PNG")
    return file.getvalue()


def pictures(names):
    return {name: picture(number) for number, name in enumerate(names)}


def test_a_column_whose_name_ends_as_a_label_is_taken_before_one_with_fewer_values(tmp_path):
    rows = [["airline_sentiment", "airline", "text"]]
    rows += [[("good", "bad", "neither")[n % 3], ("one", "two")[n % 2], text] for n, text in enumerate(TEXTS)]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))) == Columns("text", "airline_sentiment")


@pytest.mark.parametrize("names", [("titles", "summaries"), ("first", "second")])
def test_several_labels_of_two_texts_are_no_label_of_a_pair(tmp_path, names):
    terms = [str([["a"], ["a", "b"], ["b", "c"]][number % 3]) for number in range(60)]
    rows = [[*names, "terms"], *zip(TEXTS, REPLIES, terms, strict=True)]
    upload = opened(tmp_path, "a.csv", table(rows))
    assert fitting(upload)[0] == "text-classification"
    assert guess_columns(upload).label == "terms"


def test_two_chinese_texts_without_names_are_a_pair(tmp_path):
    lines = [f"这部电影真的很好看{number}\t我觉得一点也不好看{number}\t{number % 2}\n" for number in range(60)]
    upload = opened(tmp_path, "a.txt", "".join(lines))
    assert fitting(upload)[0] == "sentence-pair-classification"
    assert guess_columns(upload) == Columns("0", "2", pair="1")


def test_the_answer_that_was_chosen_is_learned(tmp_path):
    rows = [["question", "chosen", "rejected"], *zip(TEXTS, REPLIES, reversed(REPLIES), strict=True)]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))) == Columns("question", None, pair="chosen")


@pytest.mark.parametrize("between", ["_!_", ":::", "||"])
def test_several_letters_may_stand_between_columns(tmp_path, between):
    lines = [between.join([str(n), ("sport", "news")[n % 2], f"{text}, say {n}"]) for n, text in enumerate(TEXTS)]
    upload = opened(tmp_path, "a.txt", "\n".join(lines))
    assert list(upload.table.iloc[1]) == ["1", "news", f"{TEXTS[1]}, say 1"]
    assert f"{between} between columns" in upload.notes[0]


def test_two_colons_in_some_of_the_texts_are_no_delimiter(tmp_path):
    rows = [["text", "label"], *[[f"{text} {'::' * (n % 3)}", "ab"[n % 2]] for n, text in enumerate(TEXTS)]]
    assert list(opened(tmp_path, "a.csv", table(rows)).table) == ["text", "label"]


def test_many_columns_of_0_and_1_side_by_side_are_labels_whatever_else_comes_again(tmp_path):
    rows = [["text", "rater", "unclear", *"abcde"]]
    rows += [[text, n % 4, n % 2 > 0, *(int((n + k) % 5 < 2) for k in range(5))] for n, text in enumerate(TEXTS)]
    upload = opened(tmp_path, "a.csv", table(rows))
    assert guess_columns(upload).label == "labels"
    assert [json.loads(cell) for cell in upload.table["labels"][:2]] == [["a", "b"], ["a", "e"]]


def test_facts_of_0_and_1_beside_a_column_called_label_are_none(tmp_path):
    rows = [["text", *"abcde", "news_category"]]
    rows += [[text, *((n + k) % 2 for k in range(5)), ("x", "y", "z")[n % 3]] for n, text in enumerate(TEXTS)]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))).label == "news_category"


def test_entities_by_types_and_words_are_tags(tmp_path):
    said = [
        {"text": "Ada met Bo in Rome",
         "label": {"name": {"Ada": [[0, 2]], "Bo": [[8, 9]]}, "city": {"Rome": [[14, 17]]}}},
        {"text": "nobody came", "label": {}},
    ]  # fmt: skip
    upload = opened(tmp_path, "a.json", "".join(json.dumps(one) + "\n" for one in said))
    assert fitting(upload)[0] == "token-classification"
    assert list(upload.table["tags"]) == ["B-name O B-name O B-city", "O O"]


def test_the_classes_of_images_may_stand_in_the_names_of_their_files(tmp_path):
    upload = packed(tmp_path, pictures([f"train/{['cat', 'dog'][n % 2]}.{n}.png" for n in range(20)]))
    assert set(upload.table["label"]) == {"cat", "dog"} and set(upload.table["split"]) == {"train"}


@pytest.mark.parametrize("name", ["IMG_{}.png", "{}.png", "image{}/a.png", "cat/dog_{}.png", "only_one {}.png"])
def test_numbered_files_of_one_name_tell_no_classes(tmp_path, name):
    upload = packed(tmp_path, pictures([name.format(n) for n in range(20)]))
    assert not set(upload.table["label"]) & {"IMG", "dog", "only_one"}


def test_the_table_beside_images_is_understood_whatever_its_columns_are_called(tmp_path):
    listed = "lesion,photo,dx,sex\n" + "".join(f"L{n // 2},P{n},{'abc'[n % 3]},{'mf'[n % 2]}\n" for n in range(24))
    upload = packed(tmp_path, pictures([f"all/P{n}.png" for n in range(24)]) | {"about.csv": listed})
    assert list(upload.table["label"][:4]) == ["a", "b", "c", "a"]


def test_texts_without_an_ending_lie_in_folders_of_classes_and_of_splits(tmp_path):
    files = {f"news-{split}/{kind}/{n}": TEXTS[n] for split in ("train", "test") for kind in ("space", "cars")
             for n in range(5)}  # fmt: skip
    upload = packed(tmp_path, files)
    assert set(upload.table["label"]) == {"space", "cars"}
    assert upload.table["split"].value_counts().to_dict() == {"train": 10, "test": 10}


@pytest.mark.parametrize("ending", [".label", ".dat", ".text"])
def test_texts_with_other_endings_are_read_as_texts(tmp_path, ending):
    lines = "".join(f"{('HUM:ind', 'LOC:city')[n % 2]} {text}\n" for n, text in enumerate(TEXTS))
    assert set(opened(tmp_path, f"train{ending}", lines).table["label"]) == {"HUM:ind", "LOC:city"}


def test_the_text_of_a_review_is_taken_before_its_title(tmp_path):
    rows = [["Title", "Review Text", "has text", "Rating"]]
    rows += [[f"a title {n}" if n % 2 else "", text, n % 2, n % 5] for n, text in enumerate(TEXTS)]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))) == Columns("Review Text", "Rating")


@pytest.mark.parametrize("name", ["标签", "情感倾向", "Kategorie", "catégorie"])
def test_labels_are_known_by_their_names_in_other_languages(tmp_path, name):
    rows = [["来源", name, "句子"], *[["ab"[n % 2], "xyz"[n % 3], text] for n, text in enumerate(TEXTS)]]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))).label == name


def test_a_column_that_is_empty_or_says_one_thing_is_no_label(tmp_path):
    rows = [["text", "department", "fraud"], *[[text, ["", "Sales"][n % 2], n % 2] for n, text in enumerate(TEXTS)]]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))).label == "fraud"


def test_an_at_sign_may_stand_before_the_label(tmp_path):
    lines = [f"{text}, they say .@{['good', 'bad'][n % 2]}" for n, text in enumerate(TEXTS)]
    assert guess_columns(opened(tmp_path, "a.txt", "\n".join(lines))) == Columns("0", "1")


def test_a_table_for_each_split_tells_the_classes_of_its_images(tmp_path):
    tables = {f"{split}.csv": "image,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(*rows))
              for split, rows in {"train": (0, 20), "test": (20, 30)}.items()}  # fmt: skip
    upload = packed(tmp_path, pictures([f"images/{n}.png" for n in range(30)]) | tables)
    assert upload.table["split"].value_counts().to_dict() == {"train": 20, "test": 10}
    assert set(upload.table["label"]) == {"a", "b"}


def test_a_table_for_training_says_nothing_of_images_of_the_same_name_for_testing(tmp_path):
    listed = "id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(20))
    files = pictures([f"train/{n}.png" for n in range(20)] + [f"test/{n}.png" for n in range(5)])
    given = packed(tmp_path, files | {"train.csv": listed, "sample_submission.csv": "id,label\n0,a\n"}).table
    assert list(given[given["split"] == "test"]["label"]) == [""] * 5
    assert set(given[given["split"] == "train"]["label"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "".join(f"im/{n}.png {'ab'[n % 2]}\n" for n in range(20))),
        ("labels.json", json.dumps({f"{n}.png": "ab"[n % 2] for n in range(20)})),
        ("labels.json", json.dumps([{"file_name": f"{n}.png", "category": "ab"[n % 2]} for n in range(20)])),
        ("labels.csv", "image,a,b,c\n" + "".join(f"{n},{ONE_OF_3[n % 3]}\n" for n in range(20))),
    ],
)
def test_lists_of_files_and_their_classes_come_in_many_forms(tmp_path, name, text):
    upload = packed(tmp_path, pictures([f"im/{n}.png" for n in range(20)]) | {name: text})
    assert list(upload.table["label"][:2]) == ["a", "b"]


def test_a_text_beside_images_that_names_none_of_them_leaves_the_folders_their_say(tmp_path):
    files = pictures([f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(20)])
    upload = packed(tmp_path, files | {"notes.txt": "taken by Ada\nin May 2024", "about.json": '{"year": 2024}'})
    assert set(upload.table["label"]) == {"cat", "dog"}


def test_folders_further_out_tell_the_classes_where_the_innermost_are_alike(tmp_path):
    upload = packed(tmp_path, pictures([f"scans/{'ill' if n % 2 else 'well'}/images/{n}.png" for n in range(20)]))
    assert set(upload.table["label"]) == {"ill", "well"}


@pytest.mark.parametrize("files", [
    {"a.txt": bytes(range(256)) * 40}, {"a.json": b"\xff\xfe\x00\xd8" * 9}, {"a.json": b"[" * 100_000},
    {"train.csv": b"", "test.csv": b""}, {"train.csv": b"a\n1\n", "b.csv": b"b\n2\n", "test.csv": b"b\n2\n"},
])  # fmt: skip
def test_what_lies_beside_images_and_is_no_list_of_them_does_no_harm(tmp_path, files):
    images = pictures([f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(20)])
    assert set(packed(tmp_path, images | files).table["label"]) == {"cat", "dog"}


def test_tables_of_an_archive_with_the_same_columns_are_one_and_their_names_may_be_the_labels(tmp_path):
    texts = {kind: [f"{kind} and {n} more words" for n in range(30)] for kind in ("cats", "dogs")}
    files = {f"all/{kind}.csv": "\n".join(["text", *rows]) for kind, rows in texts.items()}
    upload = packed(tmp_path, files)
    assert guess_columns(upload).label == "file"
    assert upload.table["file"].value_counts().to_dict() == {"cats": 30, "dogs": 30}
    assert upload.notes[0] == "One table from 2 files: 'cats.csv', 'dogs.csv'."


def test_a_name_that_stands_beside_each_row_is_no_longer_than_those_of_files(tmp_path):
    rows = "\n".join(["text", *(f"{n} words" for n in range(30))])
    with pytest.raises(LimitError, match="a name of 60,004 letters"):
        packed(tmp_path, {"a" * 60_000 + ".csv": rows, "b" * 60_000 + ".csv": rows})


def test_tables_with_the_same_columns_in_another_order_are_one(tmp_path):
    one, other = (["text,label"], ["label,text"])
    one += [f"a text of May {n},{'ab'[n % 2]}" for n in range(20)]
    other += [f"{'ab'[n % 2]},a text of June {n}" for n in range(20)]
    table = packed(tmp_path, {"june.csv": "\n".join(other), "may.csv": "\n".join(one)}).table
    assert list(table["label"]) == ["a", "b"] * 20
    assert table["text"].str.startswith("a text of").all()


def test_numbered_parts_of_a_table_are_no_classes(tmp_path):
    rows = [json.dumps({"text": f"a text of its own, {n}", "label": "ab"[n % 2]}) for n in range(30)]
    upload = packed(tmp_path, {f"part-{n}.jsonl": "\n".join(rows[n::3]) for n in range(3)})
    assert list(upload.table.columns) == ["text", "label"]
    assert len(upload.table) == 30


def test_tables_of_other_columns_in_one_archive_are_asked_for(tmp_path):
    with pytest.raises(DataError, match="A table with other columns than those beside it is called 'orders', 'people'"):
        packed(tmp_path, {"people.csv": "name,age\na,1\nb,2\n", "orders.csv": "item,price\na,1\nb,2\n"})
