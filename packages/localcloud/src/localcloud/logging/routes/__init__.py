"""Where entries go: buckets, views, sinks, exclusions, and what lies behind them."""
