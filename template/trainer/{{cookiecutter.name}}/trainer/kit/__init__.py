"""What is the same in each trainer: reading and preparing rows, going on after a kill, the cloud, the export."""
