"""Pages: one HTML file each that needs nothing else, no script and nothing from the network, and prints on A4."""
