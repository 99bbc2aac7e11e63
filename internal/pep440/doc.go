// Package pep440 reads, orders and matches Python version numbers and version
// specifiers exactly as PEP 440 and its reference implementation do.
//
// A version is read once (scan.go) and carries a byte key whose order is PEP 440's
// (key.go); a clause of a specifier set is an interval of such keys (clause.go). So
// comparing and matching, which the solver does millions of times, compare strings
// and allocate nothing.
//
// It is pure: no I/O, no imports of other packages of this module. All values
// are immutable and safe for concurrent use.
package pep440
