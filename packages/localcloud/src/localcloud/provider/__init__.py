"""The local cloud as Pulumi's Google Cloud provider: what a program declares exists here afterwards."""
