// Package pep508 reads dependency specifiers ("name[extra]>=1; marker") and
// evaluates environment markers for a given target, never for the host.
//
// It is pure and agrees with the reference implementation; all values are
// immutable and safe for concurrent use.
package pep508
