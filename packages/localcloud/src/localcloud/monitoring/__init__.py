"""Cloud Monitoring: notification channels and alert policies are kept and can be read; nothing is measured or sent."""
