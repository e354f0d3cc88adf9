"""The function that stops an account in stages. It is sent to the account's cloud as it is (infra/stops.py).

Plain Python: nothing here needs more than a session that signs its requests, so that the same code tells what it would
do today (`invoke budget.rehearse`). Modules find each other by relative imports: there the package is called `stop`.
"""
