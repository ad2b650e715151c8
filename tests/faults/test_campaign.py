"""The campaign that `make faults` runs has faults of each kind, each with a name of its own."""

from collections import Counter

from faults.campaign.running import FAULTS


def test_the_campaign_has_at_least_sixty_faults_of_seven_kinds():
    names = [str(each) for each in FAULTS]
    assert len(names) == len(set(names))
    kinds = Counter(each.kind for each in FAULTS)
    assert set(kinds) == {"kills", "storage", "tampering", "configuration", "addresses", "network", "two_at_once"}
    assert kinds.total() >= 60
    assert min(kinds.values()) >= 10
