"""How much one address may be tried at the same time."""

from services.notify.deliverer.allowance import FIRST, MOST, Allowances

HERE = "https://example.org"


def test_an_address_that_answers_gets_more_and_more() -> None:
    allowances = Allowances()
    allowances.taken(HERE)
    for _ in range(10):
        allowances.taken(HERE)
        allowances.given_back(HERE, silent=False)
    assert allowances.left() == {HERE: MOST - 1}


def test_an_address_that_is_silent_gets_one_at_a_time() -> None:
    allowances = Allowances()
    for _ in range(FIRST):
        allowances.taken(HERE)
    assert allowances.left()[HERE] == 0
    assert allowances.given_back(HERE, silent=True)
    assert allowances.left()[HERE] == 1 - (FIRST - 1)
    for _ in range(FIRST - 1):
        allowances.given_back(HERE, silent=True)
    assert allowances.left() == {HERE: 1}


def test_it_tells_when_something_may_have_waited() -> None:
    allowances = Allowances()
    allowances.taken(HERE)
    assert not allowances.given_back(HERE, silent=False)


def test_what_is_not_used_is_forgotten() -> None:
    allowances = Allowances()
    allowances.taken(HERE)
    allowances.given_back(HERE, silent=True)
    assert allowances.left() == {HERE: 1}
    allowances.taken(HERE)
    allowances.given_back(HERE, silent=False)
    assert allowances.left() == {}
