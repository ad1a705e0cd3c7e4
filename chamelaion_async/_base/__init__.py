"""What errors and models are both made of: the root error, records, and the job that errors speak of."""
