"""The price list of an account's cloud, read and made a layer of the price book."""
