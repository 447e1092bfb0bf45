"""Families of prompts: a partition, each led by what begins with all its members."""

from hypothesis import given
from hypothesis import strategies as st

from glore_models.sampling.prefixes import chunk_by_prefix, families

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), max_size=12)


@given(PROMPTS)
def test_every_prompt_is_in_one_family_whose_leader_begins_with_it(
    prompts: list[list[int]],
) -> None:
    found = families(prompts)
    assert sorted(m for family in found for m in family.members) == list(range(len(prompts)))
    for family in found:
        assert any(tuple(prompts[m]) == family.ids for m in family.members)
        assert all(family.ids[: len(prompts[m])] == tuple(prompts[m]) for m in family.members)


@given(PROMPTS)
def test_no_leader_begins_with_another_leader(prompts: list[list[int]]) -> None:
    leaders = [family.ids for family in families(prompts)]
    for leader in leaders:
        assert sum(other[: len(leader)] == leader for other in leaders) == 1


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=12), st.integers(1, 5))
def test_places_stay_in_order_and_prompts_that_go_on_from_one_another_stay_together(
    prompts: list[str], most: int
) -> None:
    parts = chunk_by_prefix(prompts, most)
    assert [index for part in parts for index in part] == list(range(len(prompts)))
    assert all(1 <= len(part) <= most for part in parts)
    for part in parts[1:]:
        if prompts[part.start].startswith(prompts[part.start - 1]):  # of a row that does not fit
            first = part.start
            while first and prompts[first].startswith(prompts[first - 1]):
                first -= 1
            assert (part.start - first) % most == 0


def test_parts_are_filled_as_far_as_whole_solutions_fit() -> None:
    prompts = ["a", "a1", "b", "b2", "c", "c1", "c12", "c123", "c1234", "d"]
    assert chunk_by_prefix(prompts, 4) == [range(4), range(4, 8), range(8, 10)]
    assert chunk_by_prefix([], 4) == []
