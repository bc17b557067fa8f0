"""What learning curves look like: a curve as a course of errors, and what two of them mean, as rules on numbers."""
