"""Who answers: engines turn token prefixes into next-token distributions."""
