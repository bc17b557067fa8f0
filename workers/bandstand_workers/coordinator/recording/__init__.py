"""What happened in one study becomes events and rows: outcomes, pauses and users' requests by one journal."""
