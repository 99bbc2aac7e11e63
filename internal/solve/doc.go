// Package solve chooses one version of every package a set of requirements
// needs, or proves in plain words that there is no such choice.
//
// It is PubGrub: unit propagation, learning from conflicts, jumping back, and an
// explanation made from the facts the proof rests on. The versions of one
// package are a finite list, so a set of versions is a bit set over that list
// (bit 0: "not chosen at all"); specifiers are exact and there are no interval
// rules to get wrong. An extra foo[bar] is a package of its own with the single
// value "asked for"; what it needs are statements about foo's version and
// foo[bar] together, so base and extra can never differ in version.
//
// Solve gives the set or a Conflict; Mend then finds, by solving again, the single changes
// that would have made one. Check holds a set against the request without any of
// the solver's conclusions. docs/resolution.md tells people what they see of it.
//
// The package does no I/O of its own: candidates and requirements come from a
// Source, fetched ahead by a few goroutines. The result depends on what the
// Source answers, never on when.
package solve
