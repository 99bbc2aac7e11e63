// Package lockfile is the text of reqpm.lock: what was resolved, for which targets, from which
// inputs, in TOML that people review in a diff.
//
// It is pure: bytes in, values out. The same values give the same bytes, in an order that does not
// hang on the run; reading is strict, and says the line. What a lock means for a run is the pipeline's
// business.
package lockfile
