// Package sdist knows what an unpacked source distribution needs to be built: it
// unpacks archives safely, reads the facts in them, asks build backends their
// questions (PEP 517) in a sandbox given by the caller, and reads and unpacks wheels.
//
// Archives, their names and their contents are hostile: everything is opened under
// os.Root and bounded by Limits. All functions are safe for concurrent use on
// different directories.
package sdist
