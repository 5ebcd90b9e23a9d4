"""Train the teachers of the demos: `python -m tests.bench.demo_teachers`, about ten minutes on two cores; they are
written into `assets/demo/teachers`. What each reaches on validation rows is printed; test rows are not looked at here.

The digits' teacher learns from all labels of the training rows. So few messages are too few for a transformer: a bag of
words learns their labels first, and labels recombinations of the training messages, from which the transformer learns.
"""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from studio import files
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns, guess_task
from studio.data.uploads import Upload
from studio.home import Home
from studio.service import library, samples
from studio.service.predict import open_model
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store

RECOMBINED, MOST_WORDS, LEAST_WORDS, LEAST_SURE = 12_000, 40, 3, 0.5
DROPPED = (0.1, 0.3, 0.5)
FIRST = {
    "teacher": "builtin/fasttext-large",
    "student": "builtin/fasttext-tiny",
    "teacher_epochs": 40,
    "teacher_learning_rate": 1e-2,
    "max_length": 64,
}
TEACHERS: dict[samples.Demo, dict[str, Any]] = {
    "text": {
        "teacher": "builtin/transformer-small",
        "student": "builtin/fasttext-tiny",
        "teacher_epochs": 4,
        "max_length": 64,
    },
    "images": {"teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny", "teacher_epochs": 25},
}
KEPT = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
CARD = """# Teacher of the demo "{name}"

`{teacher}`, trained by `python -m tests.bench.demo_teachers` on the training rows of the demo with all their labels.
{how}On the validation rows it is {accuracy:.1f} % accurate. Licence: as the project's.
"""
HOW = {
    "text": "A bag of words (`builtin/fasttext-large`) learned those labels and labelled recombinations of the\n"
    "training messages, on which the transformer was trained: the messages alone are too few for it. ",
    "images": "",
}


def recombined(table: pd.DataFrame, home: Home, store: Store) -> pd.DataFrame:
    """More training messages, made of parts of those that are there, with the labels that a bag of words gives them."""
    known = table[table["split"] == "train"]
    texts = list(dict.fromkeys(_mixtures([text.split() for text in known["text"]])))
    run, _ = taught(Upload("table", table), Columns("text", "intent", "split"), FIRST, home, store)
    answers = open_model(store, home, run, "teacher").predict(texts)
    sure = [
        (text, answer["label"]) for text, answer in zip(texts, answers, strict=True) if answer["score"] > LEAST_SURE
    ]
    return pd.DataFrame(sure, columns=["text", "intent"], dtype=object).assign(split="train")


def _mixtures(messages: list[list[str]]) -> list[str]:
    """A message without some of its words, or the beginning of one with the end of another."""
    generator, found = random.Random(0), []
    while len(found) < RECOMBINED:
        first, second = generator.choice(messages), generator.choice(messages)
        if generator.random() < 0.5:
            share = generator.choice(DROPPED)
            words = [word for word in first if generator.random() > share]
        else:
            words = first[: generator.randrange(len(first))] + second[generator.randrange(len(second)) :]
        if len(words) >= LEAST_WORDS:
            found.append(" ".join(words[:MOST_WORDS]))
    return found


def taught(upload: Upload, columns: Columns, settings: dict[str, Any], home: Home, store: Store) -> tuple[int, float]:
    """(run, best accuracy on validation rows) of a teacher that learned these rows."""
    rows = clean(upload, columns, guess_task(upload))
    data = library.save(store, home, None, rows, columns)
    config = parse_config({"dataset": data.name, "epochs": 1, "control": False, **settings})
    run = store.submit(config, key=f"{data.name} {settings}", owner=new_owner())
    for _ in carry(store, home, run):
        pass
    return run.id, max(
        point.value for point in store.curve(run.id) if (point.phase, point.name) == ("teach", "accuracy")
    )


def train(demo: samples.Demo, home: Home, store: Store) -> None:
    upload, columns = samples.rows_of(demo, None)
    if demo == "text":
        table = upload.table
        upload = Upload("table", pd.concat([table, recombined(table, home, store)], ignore_index=True))
    run, accuracy = taught(upload, columns, TEACHERS[demo], home, store)
    publish(demo, home.model(run, "teacher"), accuracy)


def publish(demo: samples.Demo, teacher: Path, accuracy: float) -> None:
    """Put the teacher's files and its card where the demo looks for them."""
    to = samples.TEACHERS[demo]
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / demo
        made.mkdir()
        for name in KEPT:
            if (teacher / name).is_file():
                shutil.copyfile(teacher / name, made / name)
        card = CARD.format(
            name=samples.NAMES[demo], teacher=TEACHERS[demo]["teacher"], how=HOW[demo], accuracy=100 * accuracy
        )
        (made / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(made, to)
    print(f"{demo}: {100 * accuracy:.1f} % on validation rows, {files.size(to) / 1e6:.1f} MB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        store = Store(home.database)
        for demo in samples.NAMES:
            train(demo, home, store)


if __name__ == "__main__":
    main()
