// Package reqfile reads what a Python project asks for: pip requirement and
// constraint files with everything they include, pyproject.toml with the tables of
// Poetry, uv and PDM, Pipfile, setup.cfg and setup.py (read, never run), the pip part of
// Conda environments, environments of tox and Hatch; and what lock files chose.
// Every requirement and pin keeps the file and line it was written on.
//
// Read reads files somebody named; Discover looks through a tree and proposes
// which ones to name. Neither changes anything, and neither reads outside the
// root it was given: links and paths that leave it are refused. Remote files
// are had only through the caller's Fetch.
//
// Sources of facts: pip's "Requirements File Format" page and its observable
// behaviour, PEP 508 (requirements), PEP 621 (pyproject [project]), PEP 685
// (extras), PEP 735 (dependency groups), PEP 751 (pylock.toml), PEP 427 (wheel file
// names); the documentation and the written locks of uv, Poetry, PDM, Pipenv,
// setuptools, Conda, tox and Hatch.
package reqfile
