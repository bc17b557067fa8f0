"""The figures of a report, a file each: a data half and a drawing half. `REPORTS` in `bandstand.report` names them."""
