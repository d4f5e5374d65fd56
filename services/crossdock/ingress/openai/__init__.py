"""The data plane: requests, files, uploads, batches, models, in OpenAI's shapes."""
