"""For plugin authors and our own tests: fakes (as a plugin), one contract suite a role, a load client."""
