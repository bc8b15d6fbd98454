"""How data is made: packed rows are those of a plain definition, and a cache is whole or absent."""

import dataclasses
import json
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from prepare import Profile, complete, read_rows
from trainer.preparing import corpus

TINY = Profile("tiny", "made", 16, 300, 64, 2, 2, 1.0, 10.0)


def words(seed: int, documents: int) -> list[str]:
    """Documents of 0 to 60 made-up words: shorter and longer than a row, and empty."""
    chance = np.random.default_rng(seed)
    vocabulary = ["".join(chance.choice(list("abcdefgh é"), 5)) for _ in range(200)]
    return [" ".join(chance.choice(vocabulary, chance.integers(0, 61))) for _ in range(documents)]


def made_up(documents: int = 400) -> corpus.Corpus:
    train, heldout = words(1, documents), words(2, documents)
    return corpus.Corpus(lambda: iter([train]), lambda: iter([heldout]))


# --- rows --------------------------------------------------------------------------------------------


def plainly_packed(groups: list[list[list[int]]], capacity: int) -> list[list[int]]:
    """The definition, word by word: look at every document in the buffer before each choice."""
    coming = list(groups)
    buffer: list[list[int]] = []
    rows: list[list[int]] = []
    while True:
        row: list[int] = []
        while len(row) < capacity:
            while len(buffer) < corpus.BUFFER and coming:
                buffer.extend(coming.pop(0))
            if not buffer:
                return rows
            room = capacity - len(row)
            fitting = [len(document) for document in buffer if len(document) <= room]
            wanted = max(fitting) if fitting else min(len(document) for document in buffer)
            chosen = next(i for i, document in enumerate(buffer) if len(document) == wanted)
            row += buffer.pop(chosen)[:room]
        rows.append(row)


@settings(deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(1, 40), max_size=30), max_size=20),
    capacity=st.integers(1, 20),
    buffer=st.sampled_from([1, 5, 50, 1000]),
)
def test_packed_rows_are_those_of_the_plain_definition(
    lengths: list[list[int]], capacity: int, buffer: int
) -> None:
    tokens = iter(range(2**16))  # every token its own, so that two documents are never alike
    groups = [[[next(tokens) for _ in range(n)] for n in group] for group in lengths]
    arrays = [[np.array(document, dtype=np.uint16) for document in group] for group in groups]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "BUFFER", buffer)
        packed = [row.tolist() for row in corpus.pack(arrays, capacity)]
        assert packed == plainly_packed(groups, capacity)


def test_rows_of_a_full_buffer_are_those_of_the_plain_definition() -> None:
    chance = np.random.default_rng(0)
    groups = [
        [np.full(n, i % 60_000, np.uint16) for n in chance.geometric(0.02, corpus.GROUP)] for i in range(20)
    ]
    plain = plainly_packed([[document.tolist() for document in group] for group in groups], 129)
    assert [row.tolist() for row in corpus.pack(groups, 129)] == plain


def test_texts_become_the_rows_of_the_plain_definition(tmp_path: Path) -> None:
    train = [words(seed, 90) for seed in range(3, 8)]
    groups = dataclasses.replace(made_up(), train=lambda: iter(train))
    rows = corpus.build(TINY, groups, tmp_path)
    encoder = corpus.encoding(json.loads((tmp_path / "data/tiny/tokenizer.json").read_text()))
    bos = encoder.encode_single_token("<|bos|>")
    plain = plainly_packed([[[bos, *encoder.encode_ordinary(text)] for text in texts] for texts in train], 17)
    assert (tmp_path / "data/tiny/rows.u16").read_bytes() == np.array(plain, dtype="<u2").tobytes()
    assert rows == len(plain) > 100


def test_the_tokenizer_learns_from_beginnings_until_it_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SAMPLE_CHARACTERS", 25_000)
    groups = [["a" * 30_000, "b" * 4_000], ["c" * 12_000, "d"], ["e"]]
    sampled = ["a" * 10_000, "b" * 4_000, "c" * 10_000, "d", "e"]
    assert list(corpus.sample(groups)) == sampled
    assert list(corpus.sample([["f" * 10_000]] * 9)) == ["f" * 10_000] * 3


def test_the_rows_on_disk_decode_to_their_documents(tmp_path: Path) -> None:
    corpus.build(TINY, made_up(), tmp_path)
    encoder = corpus.encoding(json.loads((tmp_path / "data/tiny/tokenizer.json").read_text()))
    documents = words(1, 400)
    for row in read_rows(tmp_path / "data/tiny", TINY)[:50]:
        pieces = encoder.decode(row.tolist(), errors="ignore").split(corpus.SPECIALS[0])[1:]
        assert all(any(document.startswith(piece) for document in documents) for piece in pieces)


# --- documents ---------------------------------------------------------------------------------------


def test_shards_are_read_in_groups_that_stay_within_a_row_group(tmp_path: Path) -> None:
    texts = [f"document {n}" for n in range(700)]
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "shard.parquet", row_group_size=300)
    groups = list(corpus.texts([parquet.ParquetFile(tmp_path / "shard.parquet")]))
    assert [len(group) for group in groups] == [128, 128, 44, 128, 128, 44, 100]
    assert [text for group in groups for text in group] == texts


def test_no_file_is_both_trained_on_and_held_out() -> None:
    train, heldout = corpus.split_files(Path(sysconfig.get_path("stdlib")))
    assert not set(train) & set(heldout)
    assert 0.05 < sum(map(len, heldout)) / sum(map(len, train)) < 0.2


def test_tests_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    for name in (
        "kept.py",
        "test/no.py",
        "a/tests/no.py",
        "site-packages/x/no.py",
        "a/kept_too.py",
        "no.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    train, heldout = corpus.split_files(tmp_path)
    assert sorted(train + heldout) == ["a/kept_too.py", "kept.py"]


@given(st.text(alphabet="ab \n", max_size=2000))
def test_cutting_a_file_loses_nothing_but_blank_lines(text: str) -> None:
    kept = "".join(line for line in text.splitlines(keepends=True) if line.strip())
    assert "".join(corpus.cut(text)) == kept


# --- the cache ---------------------------------------------------------------------------------------


def test_the_same_corpus_gives_the_same_rows(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        corpus.build(TINY, made_up(), tmp_path / folder)
    for part in ("data", "heldout"):
        one, two = ((tmp_path / folder / part / "tiny/rows.u16").read_bytes() for folder in ("one", "two"))
        assert one == two


def test_a_preparation_cut_short_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    def cut_short() -> Iterator[list[str]]:
        yield words(2, 50)
        raise KeyboardInterrupt

    whole = made_up()
    with pytest.raises(KeyboardInterrupt):
        corpus.build(TINY, dataclasses.replace(whole, heldout=cut_short), tmp_path)
    assert not complete(TINY, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    corpus.build(TINY, whole, tmp_path)
    assert complete(TINY, tmp_path)


@pytest.mark.parametrize("part", ["data", "heldout"])
def test_half_of_a_cache_is_not_ready(tmp_path: Path, part: str) -> None:
    corpus.build(TINY, made_up(), tmp_path)
    rows = tmp_path / part / "tiny/rows.u16"
    rows.write_bytes(rows.read_bytes()[:-2])
    assert not complete(TINY, tmp_path)
    rows.unlink()
    assert not complete(TINY, tmp_path)


def test_a_cache_of_other_settings_is_not_ready(tmp_path: Path) -> None:
    corpus.build(TINY, made_up(), tmp_path)
    assert complete(dataclasses.replace(TINY, shards=3), tmp_path)  # so many more rows, no other rows
    assert not complete(dataclasses.replace(TINY, eval_tokens=32), tmp_path)
    assert not complete(dataclasses.replace(TINY, vocab_size=290), tmp_path)


def test_a_corpus_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="validation rows"):
        corpus.build(dataclasses.replace(TINY, eval_tokens=10**7), made_up(), tmp_path)
    with pytest.raises(ValueError, match="too small for a vocabulary"):
        corpus.build(dataclasses.replace(TINY, vocab_size=60_000), made_up(), tmp_path)
