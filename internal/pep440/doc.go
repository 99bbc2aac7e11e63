// Package pep440 reads, orders and matches Python version numbers and version
// specifiers exactly as PEP 440 and its reference implementation do.
//
// It is pure: no I/O, no imports of other packages of this module. All values
// are immutable and safe for concurrent use.
package pep440
