//! The agent's operations on this machine.
