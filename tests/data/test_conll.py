"""Words with tags as collections have them: comments, marks of documents, numbers of words, several columns."""

import pytest

from studio.data import conll, uploads
from studio.errors import DataError

PLAIN = "New NNP B-LOC\nYork NNP I-LOC\n\nshe PRP O\n"
WORDS, TAGS = ["New York", "she"], ["B-LOC I-LOC", "O"]


def read(tmp_path, text, name="a.conll"):
    (tmp_path / name).write_text(text)
    table = uploads.read(tmp_path / name).table
    return list(table["words"]), list(table["tags"])


@pytest.mark.parametrize("name", ["a.conll", "a.txt"])
def test_comments_and_marks_of_documents_are_no_words(tmp_path, name):
    text = "-DOCSTART- -X- O\n\n# sent_id = 1\n# text = New York\n" + PLAIN.replace("she", "# sent_id = 2\nshe")
    assert read(tmp_path, text, name) == (WORDS, TAGS)


def test_a_hash_that_is_a_word_stays_one(tmp_path):
    words, tags = read(tmp_path, "# SYM O\nNew NNP B-LOC\n\nnumber NN O\n# SYM O\n1 CD O\n")
    assert words == ["# New", "number # 1"]
    assert tags == ["O B-LOC", "O O O"]


def test_where_words_are_counted_they_stand_in_the_second_column(tmp_path):
    text = "# text = New York\n1-2\tNewYork\t_\t_\n1\tNew\tB-LOC\t-\n2\tYork\tI-LOC\t-\n\n1\tshe\tO\t-\n1.1\tis\tO\t-\n"
    for name in ("a.conllu", "a.iob2"):
        assert read(tmp_path, text, name) == (WORDS, TAGS)


def test_the_last_column_that_holds_tags_is_taken(tmp_path):
    assert read(tmp_path, PLAIN.replace("B-LOC", "B-LOC x").replace("I-LOC", "I-LOC x").replace(" O", " O x")) == (
        WORDS,
        TAGS,
    )


def test_numbers_that_are_words_are_words(tmp_path):
    assert read(tmp_path, "1 O\n\n1 O\n2 O\n")[0] == ["1", "1 2"]


def test_a_word_without_a_tag_is_named_by_its_line():
    with pytest.raises(DataError, match="line 3 stands 'York'"):
        conll.table("# text = x\nNew B-LOC\nYork\n")


def test_parts_of_speech_alone_are_refused_with_what_would_work():
    text = "".join(f"{row}\tword\tword\tNOUN\t_\tSpaceAfter=No\n" for row in (1, 2))
    for lines in (text, "word NN\nis VB\n"):
        with pytest.raises(DataError, match="No column of the file holds tags") as met:
            conll.table(lines)
        assert "B-NOUN" in met.value.cure
