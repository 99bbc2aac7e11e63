// Package backend knows what the versions of build backends can read, and makes the patch with
// which an older one builds a source tree that was written for a newer one.
//
// The patch is made when the plan is made, of the tree's own files, and shipped in the source
// package as a unified diff. It is small: a key's exact place is found in the TOML text, and
// everything else, comments too, stays as it is. Each edit is proven before it leaves the package: what a
// TOML parser reads in the new text is what it reads in the old one, but for the values meant.
//
// It is pure: texts in, texts out; safe for concurrent use. Source trees are hostile.
package backend
