"""What goes over the wire: `answers`, `problem_details` of errors, and the `values` that both share."""
