"""The judgement: pure functions of facts, policy and time. Nothing here reads AWS, a clock or the environment."""
