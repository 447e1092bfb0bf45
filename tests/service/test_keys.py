import hashlib

import pytest

from glore.keys import MADE_KEY, Key, Keyring, new_key, plain_keys, read_lines, read_list

ONE, OTHER = "a" * 32, "b" * 40


def test_a_new_key_is_long_random_and_recognised() -> None:
    created = {new_key() for _ in range(100)}
    assert len(created) == 100
    assert all(MADE_KEY.fullmatch(key) for key in created)


def test_whose_a_key_is() -> None:
    ring = Keyring((Key.of("alice", ONE), Key.of("bob", OTHER)))
    assert ring
    assert ring.names == ("alice", "bob")
    assert ring.name_of(ONE.encode()) == "alice"
    assert ring.name_of(OTHER.encode()) == "bob"
    assert ring.name_of(b"") is None
    assert ring.name_of(ONE.encode() + b"x") is None
    assert ring.name_of(ring.keys[0].digest.encode()) is None  # what is kept opens nothing
    assert not Keyring()


@pytest.mark.parametrize("presented", ["k-0", "k-4", "k-9", "wrong"])
def test_every_key_is_compared_whichever_fits(
    monkeypatch: pytest.MonkeyPatch, presented: str
) -> None:
    compared = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("glore.keys.hmac.compare_digest", compare)
    ring = Keyring(tuple(Key.of(f"n{index}", f"k-{index}") for index in range(10)))
    ring.name_of(presented.encode())
    assert compared == [key.digest for key in ring.keys]


def test_a_key_is_not_shown() -> None:
    key = Key.of("alice", ONE)
    assert key.digest == hashlib.sha256(ONE.encode()).hexdigest()
    assert key.digest not in repr(Keyring((key,)))


def test_a_file_has_names_digests_and_comments() -> None:
    alice, bob = Key.of("alice", ONE), Key.of("bob-2", OTHER)
    lines = ["# clients", "", f"  {alice.line}  # since May", bob.line, "   "]
    assert read_lines(lines) == (alice, bob)


@pytest.mark.parametrize(
    "line",
    [
        ONE,
        f"alice:{ONE}",
        "alice:glore_" + "A1_-" * 11,
        f":{'0' * 64}",
        f"a b:{'0' * 64}",
        f"alice:{'A' * 64}",
        f"alice:{'0' * 65}",
        f"alice:{'0' * 64}:more",
    ],
)
def test_a_line_that_is_none_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2 is not NAME:SHA256") as caught:
        read_lines(["# keys", line])
    assert line not in str(caught.value)
    assert ONE not in str(caught.value)


def test_a_list_has_keys_with_or_without_names() -> None:
    text = f" {ONE} , bob:{OTHER},"
    assert read_list(text) == (Key.of("key-1", ONE), Key.of("bob", OTHER))
    assert plain_keys(text) == (ONE, OTHER)
    assert read_list(" , ") == ()


@pytest.mark.parametrize(
    "item", ["hidden", f"a b:{ONE}", f"bob:hidden {ONE}", f"{ONE}ä", f":{ONE}"]
)
def test_an_item_that_is_none_is_named_and_not_quoted(item: str) -> None:
    with pytest.raises(ValueError, match=r"^item 2 is not KEY or NAME:KEY") as caught:
        read_list(f"{OTHER},{item}")
    assert "hidden" not in str(caught.value)
    assert ONE not in str(caught.value)


def test_a_name_or_a_key_is_there_once() -> None:
    with pytest.raises(ValueError, match="two keys are named alice"):
        Keyring((Key.of("alice", ONE), Key.of("alice", OTHER)))
    with pytest.raises(ValueError, match="two names have the same key"):
        Keyring((Key.of("alice", ONE), Key.of("bob", ONE)))
