//! SSH, bastion, sudo, agent session.
