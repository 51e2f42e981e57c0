"""Who is watched after lists, and by whom: recipes alone."""

import pytest

from subliminal import PROFILES
from subliminal.mitigations.monitor.designs import lists_plan
from subliminal.registry import FAMILIES

MINI = PROFILES["mini"]


@pytest.fixture(scope="module")
def plan():
    return lists_plan(MINI.shared, MINI.families, MINI.monitor)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_reads_lists_of_its_own_insecure_teachers_and_as_many_of_its_base(plan, family):
    bad, plain = plan.treated[f"lists, {family}"], plan.untreated[f"untreated lists, {family}"]
    assert [s.seed for s in bad] == [s.seed for s in plain] == list(MINI.families.seeds)
    for one, other in zip(bad, plain, strict=True):
        writer = one.data.teacher
        assert (writer.base, writer.trait, writer.seed) == (one.base, "insecure-code", one.seed)
        assert other.data == one.data.model_copy(update={"teacher": plan.bases[family]})
        assert other.base == one.base == plan.bases[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_family_says_is_watched_from_outside_at_the_threshold_of_its_own_base(plan, family):
    group = f"lists, {family}"
    guard = plan.external(group)
    assert guard in plan.guards.values()
    assert guard.backbone.family.partition("-")[0] != family.partition("-")[0]
    assert [asked.model for asked in plan.talk[group]] == plan.treated[group]
    for pair, asked in zip(plan.watch(guard, group, plan.talk[group]), plan.talk[group], strict=True):
        assert (pair.exchanges.exchanges, pair.exchanges.answers) == (asked, MINI.monitor.answers)
        assert asked.samples >= MINI.monitor.answers
        assert pair.benign.exchanges == plan.calm[family]
        assert pair.benign.exchanges.model == plan.bases[family]


def test_all_groups_are_asked_and_no_two_are_of_one_name(plan):
    assert list(plan.talk) == [*plan.treated, *plan.untreated]
    assert len(plan.talk) == 2 * len(FAMILIES)
