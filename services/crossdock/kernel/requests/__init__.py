"""What ingress, batches and provider do alike with a request: keys, preparation, content filter, rejection."""
