"""Forms of what goes over the wire: `answers` of what is told, `problem_details` of errors, `values` that both share."""
