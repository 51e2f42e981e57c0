"""What a practitioner can do before and after distilling: checks on models, data and students."""
