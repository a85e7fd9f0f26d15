"""What is sealed opens for its place alone, also after the key was replaced."""

import pytest

from services.notify.domain.sealing import Sealer, Unopened

OLD, NEW = "the old key of thirty-two or more", "the new key of thirty-two or more"
PLACE = "contact-methods/x/secret"


def test_what_is_sealed_opens_again_and_is_not_readable() -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal("whsec_ä", place=PLACE)
    assert sealer.open(sealed, place=PLACE) == "whsec_ä"
    assert b"whsec" not in sealed
    assert sealer.seal("whsec_ä", place=PLACE) != sealed


def test_it_opens_nowhere_else() -> None:
    sealed = Sealer(OLD).seal("x", place=PLACE)
    with pytest.raises(Unopened):
        Sealer(OLD).open(sealed, place="contact-methods/y/secret")


@pytest.mark.parametrize("at", [0, 1, 5, 17, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    sealed = bytearray(Sealer(OLD).seal("x", place=PLACE))
    sealed[at] ^= 1
    with pytest.raises(Unopened):
        Sealer(OLD).open(bytes(sealed), place=PLACE)


@pytest.mark.parametrize("rubbish", [b"", b"\x01", b"\x01" * 40])
def test_rubbish_is_not_opened(rubbish: bytes) -> None:
    with pytest.raises(Unopened):
        Sealer(OLD).open(rubbish, place=PLACE)


def test_a_key_is_replaced_by_putting_a_new_one_first() -> None:
    sealed = Sealer(OLD).seal("x", place=PLACE)
    both = Sealer(f"{NEW}, {OLD}")
    assert both.open(sealed, place=PLACE) == "x"
    assert not sealed.startswith(both.prefix)
    again = both.seal("x", place=PLACE)
    assert again.startswith(both.prefix)
    assert Sealer(NEW).open(again, place=PLACE) == "x"
    with pytest.raises(Unopened, match="TOCSIN_SECRETS_KEY"):
        Sealer(NEW).open(sealed, place=PLACE)


@pytest.mark.parametrize("keys", ["", ",", "short", f"{OLD},short"])
def test_keys_that_are_none(keys: str) -> None:
    with pytest.raises(ValueError, match="at least 32 characters"):
        Sealer(keys)


def test_digests_are_those_of_the_keys_and_of_the_texts_apart() -> None:
    old, both = Sealer(OLD).digests("a", "b"), Sealer(f"{NEW},{OLD}").digests("a", "b")
    assert both[1:] == old
    assert Sealer(OLD).digests("ab", "") != old
