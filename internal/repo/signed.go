package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// signedAge is how long a signed copy stays after the last snapshot with it went.
const signedAge = 30 * 24 * time.Hour

// placeSigned puts a signed copy of every package of the set under tmp. A package signed
// before is linked from the cache, so its bytes do not change from one snapshot to the
// next: a signature holds the time, and clients would fetch the same package again.
func (p *publication) placeSigned(ctx context.Context, tmp string, set []input) error {
	work, err := os.MkdirTemp(p.root, tmpPrefix+"w*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var fresh []input
	var names []string
	for _, in := range set {
		cached := p.cachePath(in)
		if checkSigned(cached, p.req.Key) == nil && sameBody(in.path, cached) == nil {
			continue
		}
		// rpmsign gets names of our own making: none of them can be an option.
		name := in.Input + ".rpm"
		if err := copyFile(ctx, in.path, filepath.Join(work, name)); err != nil {
			return err
		}
		fresh, names = append(fresh, in), append(names, name)
	}
	if len(fresh) > 0 {
		if err := signRPMs(ctx, p.root, work, names, p.req.Key); err != nil {
			return err
		}
	}
	for i, in := range fresh {
		signed := filepath.Join(work, names[i])
		if err := os.Chmod(signed, 0o444); err != nil {
			return err
		}
		if err := syncFile(signed); err != nil {
			return err
		}
		if err := os.Rename(signed, p.cachePath(in)); err != nil {
			return err
		}
	}
	for _, in := range set {
		if err := p.place(ctx, in, filepath.Join(tmp, in.File)); err != nil {
			return fmt.Errorf("place %s: %w", in.File, err)
		}
	}
	return nil
}

func (p *publication) place(ctx context.Context, in input, to string) error {
	err := os.Link(p.cachePath(in), to)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	// A file system without hard links, or one with no more links for this file.
	return copyFile(ctx, p.cachePath(in), to)
}

func (p *publication) cachePath(in input) string {
	return filepath.Join(p.root, signedDir, in.Input+"-"+p.req.Key.Fingerprint()+".rpm")
}

// pruneSigned removes signed copies that no snapshot has held for a while.
func (p *publication) pruneSigned(now time.Time) error {
	entries, err := os.ReadDir(filepath.Join(p.root, signedDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		// A link count of 1: in no snapshot; the change time is when the last link went.
		if !ok || st.Nlink > 1 || now.Sub(time.Unix(st.Ctim.Unix())) < signedAge {
			continue
		}
		if err := os.Remove(filepath.Join(p.root, signedDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(ctx context.Context, from, to string) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}
