"""An input that something went wrong with is refused by name, or judged as it stands; it never leads to another act."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.flows import bad_input

SEEDS = st.integers(0, 2**32)


@settings(examples(150), derandomize=False)
@given(SEEDS)
def test_a_payload_that_was_changed_is_refused_or_does_what_it_says(seed: int) -> None:
    bad_input.check_payload(seed)


@settings(examples(150), derandomize=False)
@given(SEEDS)
def test_an_event_that_was_changed_leads_to_no_other_act(seed: int) -> None:
    bad_input.check_event(seed)


@settings(examples(200), derandomize=False)
@given(SEEDS)
def test_a_policy_that_was_changed_is_whole_or_names_the_key(seed: int) -> None:
    bad_input.check_policy(seed)


@settings(examples(150), derandomize=False)
@given(SEEDS)
def test_a_ledger_item_that_was_changed_is_read_or_named(seed: int) -> None:
    bad_input.check_item(seed)
