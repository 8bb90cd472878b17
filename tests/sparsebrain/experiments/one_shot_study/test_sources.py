"""Texts name data sets and files, and say whether their characters are known or new."""

from pathlib import Path

import pytest

from sparsebrain.experiments.one_shot_study.sources import DATASETS, Source, parse, parse_all


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kmnist", Source("known", "kmnist", None)),
        ("kuzushiji-49", Source("known", "kuzushiji-49", None)),
        ("emnist-letters", Source("new", "emnist-letters", None)),
        (" new:kmnist ", Source("new", "kmnist", None)),
        ("known:emnist-letters", Source("known", "emnist-letters", None)),
        ("new:a b.npz", Source("new", "a b.npz", Path("a b.npz"))),
        ("known:x:y", Source("known", "x:y", Path("x:y"))),
    ],
)
def test_texts_are_read(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a b.npz", "x:y"):
        Path(name).touch()
    assert parse("data", text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kmnst", "data must be kmnist, .* known:FILE or new:FILE, but 'kmnst' is none of these"),
        ("mine.npz", "'mine.npz' does not say which of them it is; pass .* data=known:FILE.npz"),
        ("known:", "data: '.*' is neither a file nor one of kmnist, .*; pass for example"),
        ("new:no.npz", "data: 'no.npz' is neither a file nor one of kmnist"),
        ("new:.", "data: '.' is neither a file"),
        ("new:a\0b", "is neither a file"),
        (f"new:{'x' * 5000}", "is neither a file"),
        ("old:mine.npz", "'old:mine.npz' is none of these"),
    ],
)
def test_other_texts_are_refused(text, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.npz").touch()
    with pytest.raises(ValueError, match=told):
        parse("data", text)


def test_there_is_one_source_of_each_role():
    assert [each.role for each in parse_all("data", ["emnist-letters", "kmnist"])] == [
        *("new", "known")
    ]
    assert parse_all("data", []) == ()
    with pytest.raises(ValueError, match="at most one source of known characters, got 'kmnist' an"):
        parse_all("data", ["kmnist", "kuzushiji-49"])
    with pytest.raises(ValueError, match="'kmnist' both as known and as new characters; pass"):
        parse_all("--data", ["kmnist", "new:kmnist"])


def test_the_classes_of_openml_fit_into_a_byte():
    assert all(0 <= each.first < each.last < 256 for each in DATASETS.values())
