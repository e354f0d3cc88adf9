"""The Cloud Billing Catalog API: what it sells, and under which words."""
