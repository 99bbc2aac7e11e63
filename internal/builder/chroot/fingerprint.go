package chroot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fingerprint digests what lies in a layer: names, kinds, sizes, owners and times, which
// a stat shows. It finds a file that was cut short, changed or lost since (a full disk, a power
// cut: layers are written without waiting for the disk) without reading them all.
func fingerprint(l layer) (string, error) {
	h := sha256.New()
	for _, part := range []string{l.root(), l.usr()} {
		err := filepath.WalkDir(part, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return err
			}
			link := ""
			if st.Mode&unix.S_IFMT == unix.S_IFLNK {
				if link, err = os.Readlink(path); err != nil {
					return err
				}
			}
			size, seconds, nanos := st.Size, st.Mtim.Sec, st.Mtim.Nsec
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				size, seconds, nanos = 0, 0, 0 // of the file system's making; what is in it counts
			}
			_, err = fmt.Fprintf(h, "%q %o %d %d %d %d.%d %q\n", path[len(l.dir):], st.Mode, st.Uid, st.Gid, size, seconds, nanos, link)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("look through layer %s: %w", l.dir, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
