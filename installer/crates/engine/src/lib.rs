//! Runs a plan: order, lanes, retry, resume, cancel.
