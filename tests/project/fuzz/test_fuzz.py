"""Each harness on its own inputs and a few changes of these, so that none stops working; `make fuzz` goes on."""

import random

import pytest
from harness import REFUSED
from harnesses import HARNESSES

CHANGED = 12


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged TIFFs
@pytest.mark.parametrize("name", HARNESSES)
def test_the_property_holds(name):
    harness, rng = HARNESSES[name], random.Random(0)
    seeds = harness.seeds()
    assert seeds
    REFUSED.clear()
    for seed in seeds:
        harness.check(seed)
    assert not REFUSED
    for _ in range(CHANGED):
        harness(harness.mutate(rng.choice(seeds), rng))
