//! Values to the files and objects that hosts get.
