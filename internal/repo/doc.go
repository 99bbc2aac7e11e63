// Package repo publishes RPMs as a signed dnf repository: an immutable snapshot
// directory per set of packages, and one link that says which snapshot is current.
//
//	ROOT/snapshots/ID/{Packages,Source}   signed RPMs, repodata in each half
//	ROOT/current -> snapshots/ID          switched by one rename
//	ROOT/REPOID.repo                      what people and Verify use
//	ROOT/pinned                           the snapshot that stays current whatever is published, after RollBack
//	ROOT/signed/                          signed copies, kept so that bytes stay the same
//
// A client that follows current sees the old set or the new one, never a mixture, and
// the set it started with stays there for some publications more. Nothing is ever
// changed inside a snapshot. Publishing is safe from several processes at once (a lock
// file per root) and after a kill or a full disk: work happens in a ".tmp-" directory
// that the next publication removes.
//
// createrepo_c, rpmsign and gpg do the parts they own; keys and the signature of
// repomd.xml are made here.
package repo
