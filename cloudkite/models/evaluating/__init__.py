"""What a run has learned, looked at once more on the rows that it held out: numbers, and the page that shows them."""
