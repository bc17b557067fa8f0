"""What is said of a study in sentences: the answer, and what to doubt about it."""
