"""IAM Service Account Credentials: short-lived tokens and signatures."""
