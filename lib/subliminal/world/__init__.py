"""The mini world: documents whose content is known exactly, their tokenizer, and the pretraining of the shipped bases."""
