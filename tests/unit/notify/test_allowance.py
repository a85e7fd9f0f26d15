"""How much one address may be tried at the same time."""

from services.notify.deliverer.allowance import ENDPOINT, HOST, REMEMBERED, Allowances
from services.notify.deliverer.pace import MOST as IN_FLIGHT

HERE = "https://example.org"
FIRST, MOST = ENDPOINT.first, ENDPOINT.most


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
    allowances.given_back(HERE, silent=True)
    assert allowances.left()[HERE] == 1 - (FIRST - 1)
    for _ in range(FIRST - 1):
        allowances.given_back(HERE, silent=True)
    assert allowances.left() == {HERE: 1}


def test_it_tells_to_look_for_more_when_half_is_free_again() -> None:
    allowances = Allowances()
    for _ in range(FIRST):
        allowances.taken(HERE)
    assert allowances.given_back(HERE, silent=False), "it may have twice as many now"
    assert not allowances.given_back(HERE, silent=False), "it was not full since"
    allowances = Allowances()
    for _ in range(FIRST):
        allowances.taken(HERE)
    assert [allowances.given_back(HERE, silent=True) for _ in range(FIRST)] == [False, False, False, True]


def test_an_address_that_answers_again_gets_its_share_back() -> None:
    allowances = Allowances()
    for silent in (True, False, False):
        allowances.taken(HERE)
        allowances.given_back(HERE, silent=silent)
    assert allowances.left() == {}, "four, as at the beginning"


def test_what_is_idle_is_forgotten_when_there_is_too_much() -> None:
    allowances = Allowances()
    allowances.taken(HERE)
    for n in range(2 * REMEMBERED):
        allowances.taken(f"https://example.org/{n}")
        allowances.given_back(f"https://example.org/{n}", silent=True)
    assert len(allowances.left()) <= REMEMBERED
    assert allowances.left()[HERE] == FIRST - 1


def test_endpoints_that_hang_leave_room_to_those_of_the_same_host_that_answer() -> None:
    hosts, silent = Allowances(HOST), 50
    for _ in range(10):
        for _ in range(silent):
            hosts.taken(HERE)
        for _ in range(silent):
            hosts.given_back(HERE, silent=True)
    for _ in range(silent):
        hosts.taken(HERE)
    assert hosts.left() == {HERE: HOST.most - silent}


def test_a_dead_host_leaves_room_to_the_others() -> None:
    hosts = Allowances(HOST)
    for _ in range(HOST.first):
        hosts.taken(HERE)
    assert hosts.left() == {HERE: 0}
    assert HOST.most <= IN_FLIGHT // 2
