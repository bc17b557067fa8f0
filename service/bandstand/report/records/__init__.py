"""What the record of a study says before anything is drawn or concluded: trials in order, pauses, params, families."""
