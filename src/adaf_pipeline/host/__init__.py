"""What every runtime of one host shares: where stacks live, which ports are theirs, how one looks whether something answers."""
