// Package reqfile reads what a Python project asks for: pip requirement and
// constraint files with everything they include, and the [project] table of
// pyproject.toml. Every requirement keeps the file and line it was written on.
//
// Read reads files somebody named; Discover looks through a tree and proposes
// which ones to name. Neither changes anything, and neither reads outside the
// root it was given: links and paths that leave it are refused. Remote files
// are had only through the caller's Fetch.
//
// Sources of facts: pip's "Requirements File Format" page and its observable
// behaviour, PEP 508 (requirements), PEP 621 (pyproject [project]), PEP 685
// (extras), PEP 735 (dependency groups), PEP 427 (wheel file names).
package reqfile
