"""What monitoring reads: how much there is of everything, and what running studies count."""
