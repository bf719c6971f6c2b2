"""What is done with a trained run and examples that a user gives it."""
