"""Forms of what goes over the wire: `answers` of what is told, `problems` of errors, `values` of what both share."""
