"""The JSON API of Cloud Storage: calls that carry no media, alone and in batches."""
