"""The report of simulated strategies: `summary` has the numbers, `outline` the order of tables and figures."""
