"""Which weights of a training leave: the newest, or some that were chosen on patients, which is a bill."""
