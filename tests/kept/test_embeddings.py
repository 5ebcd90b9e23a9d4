"""Where the teacher places rows: kept, read, and the nearest ones found by their angle."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from studio.kept import embeddings


def test_the_nearest_rows_are_those_of_scikit_learn_by_cosine():
    draws = np.random.default_rng(0)
    known, row = draws.normal(size=(200, 8)) * draws.uniform(0.1, 9, size=(200, 1)), draws.normal(size=8)
    theirs = NearestNeighbors(n_neighbors=6, metric="cosine").fit(known).kneighbors([row])[1][0]
    assert embeddings.nearest(row, known, 6).tolist() == theirs.tolist()


def test_what_is_kept_is_read_again_and_a_damaged_file_is_none(home):
    rows = np.arange(6, dtype=np.float16).reshape(3, 2)
    embeddings.write(home, 1, "train", rows)
    assert np.array_equal(embeddings.opened(home, 1, "train"), rows)
    assert embeddings.opened(home, 1, "test") is None
    (home.kept(1) / "teacher-train-embeddings.npy").write_bytes(b"no numbers")
    assert embeddings.opened(home, 1, "train") is None


def test_long_rows_keep_their_angles_in_half_precision(home):
    rows = np.array([[1e5, 0], [300, 300], [0, 300]])
    embeddings.write(home, 1, "train", rows)
    known = embeddings.opened(home, 1, "train")
    assert np.isfinite(known).all()
    assert [embeddings.nearest(known[number], known).tolist()[0] for number in range(3)] == [0, 1, 2]


def test_all_blocks_are_looked_at_and_a_row_without_an_angle_comes_last(monkeypatch):
    monkeypatch.setattr(embeddings, "_AT_ONCE", 2)
    known = np.array([[np.nan, 1], [0, 1], [1, 1], [0.5, 1], [1, 0]])
    assert embeddings.nearest(np.array([1.0, 0]), known).tolist() == [4, 2, 3, 1, 0]
