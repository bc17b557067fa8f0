"""What a study trains on: the user's data as loaded, described, and cut into batches."""
