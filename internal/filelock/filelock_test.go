package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Exclusive(path)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("a held lock is taken twice: %v %v", f, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := Wait(ctx, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("waiting does not end with its context: %v %v", f, err)
	}
	got := make(chan error)
	go func() {
		f, err := Wait(t.Context(), path)
		if err == nil {
			err = f.Close()
		}
		got <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatalf("a lock given back is not had: %v", err)
	}
	again, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := Shared(path)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := Shared(path)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if f, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("an exclusive lock beside shared ones: %v %v", f, err)
	}
}

func TestNoFolder(t *testing.T) {
	if f, err := Exclusive(filepath.Join(t.TempDir(), "nosuch", "lock")); err == nil {
		t.Fatalf("a lock in no folder: %v", f.Name())
	}
}
