"""The only part of Cloudkite that knows Pulumi: it runs the real engine on an account's program."""
