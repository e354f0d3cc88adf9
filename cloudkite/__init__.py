"""What the tasks do, against any account: check, price, submit, follow, fetch, tear down."""
