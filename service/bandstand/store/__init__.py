"""PostgreSQL: connections, the embedded server, tables and their migrations, rows, views, the writer, accounts."""
