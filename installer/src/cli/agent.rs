//! `installer agent`: typed requests on standard input, replies on standard output.

use std::io;

use crate::failure::{Failure, Kind};

pub(crate) fn run() -> Result<(), Failure> {
    sealift_host::agent::serve(io::stdin(), io::stdout()).map_err(|error| Failure::of(Kind::Internal, &error))
}
