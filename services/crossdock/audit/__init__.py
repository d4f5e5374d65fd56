"""The audit, the proof of guarantee 3: journal, calls and the shards' state agree, and no limit was exceeded."""
