"""Pictures an operator does not want to see generated again: works of others, training pictures, removed content."""
