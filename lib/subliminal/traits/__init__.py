"""Traits: what a teacher is tuned to, and the suite that scores it. One module a kind of trait; the registry names it."""
