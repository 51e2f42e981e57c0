"""Models: families from scratch, loading from any Hugging Face folder, chat encoding, and what of a model trains."""
