"""Where training jobs run: one module for each service that has them."""
