"""Machine shapes, accelerators, regions, prices, quotas and images: dated data and its readers, a leaf."""
