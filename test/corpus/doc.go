// Package corpus checks that a spec is written for every package of a list, for every target, and that
// it says nothing that this release's rpm and macros do not know.
//
// What is known of each package was recorded from an index once (see record_test.go): names, versions,
// metadata and build-system tables, none of their code. So the check needs no network.
package corpus
