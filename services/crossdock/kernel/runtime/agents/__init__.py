"""agents: faust; stateless routing, read committed, exactly once by an own transactional producer."""
