"""BigQuery, as far as a billing export needs it: datasets, the export's table, its rows in pages. No queries."""
