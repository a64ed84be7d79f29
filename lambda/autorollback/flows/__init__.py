"""What happens, told in order: each module reads like a runbook."""
