"""Families of prompts: a partition, each led by what begins with all its members."""

from hypothesis import given
from hypothesis import strategies as st

from models.sampling.prefixes import families

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
