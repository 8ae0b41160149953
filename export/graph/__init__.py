"""What an exported graph computes."""
