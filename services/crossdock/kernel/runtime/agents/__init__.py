"""Agents on faust: stateless routing, read committed, exactly once by a transactional producer per partition."""
