"""Judges that are models: at an endpoint (``remote``) or in hand (``model``), with one and the same prompt (``prompt``)."""
